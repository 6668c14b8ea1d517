using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The kernel's statistics of a program's runs since it was loaded.</summary>
/// <param name="Runs">0 unless somebody has switched the kernel's BPF statistics on.</param>
/// <param name="RunTime">As <paramref name="Runs"/>.</param>
/// <param name="Misses">
/// Calls that the kernel skipped, since this CPU was in a BPF program or map operation that excludes it. 0 before Linux 5.12; of kprobes,
/// before 6.7.
/// </param>
public readonly record struct ProgramStatistics(ulong Runs, TimeSpan RunTime, ulong Misses);

/// <summary>A loaded program. Does not own its file descriptor: the object does.</summary>
public sealed unsafe class BpfProgram
{
    /// <summary>sizeof(struct bpf_insn)</summary>
    private const int InstructionBytes = 8;

    private readonly nint _program;

    /// <param name="program">libbpf's struct bpf_program, which lives as long as its object.</param>
    internal BpfProgram(string name, nint program)
    {
        _program = program;
        Name = name;
        Fd = Libbpf.bpf_program__fd(program);
        var info = ReadInfo();
        Id = (int)info.id;
        Instructions = (int)(info.xlated_prog_len / InstructionBytes);
        NativeBytes = (int)info.jited_prog_len;
        Tag = BinaryPrimitives.ReverseEndianness(info.tag).ToString("x16", CultureInfo.InvariantCulture);
    }

    public string Name { get; }

    public int Fd { get; }

    /// <summary>The kernel's number of this loaded program, as bpftool shows it.</summary>
    public int Id { get; }

    /// <summary>How many instructions it has once the kernel has verified it, its functions included.</summary>
    public int Instructions { get; }

    /// <summary>The length of the native code that the kernel has made of it; 0 without its JIT compiler.</summary>
    public int NativeBytes { get; }

    /// <summary>The kernel's digest of its instructions: two programs with one tag do the same.</summary>
    public string Tag { get; }

    /// <summary>Attaches a kprobe program to the beginning of a kernel function.</summary>
    /// <returns>Detaches when disposed.</returns>
    /// <exception cref="BpfException">The kernel has no kprobes, or none on this function.</exception>
    public BpfLink AttachKprobe(string function)
    {
        var link = Libbpf.bpf_program__attach_kprobe(_program, 0, function);
        if (!link.IsInvalid)
        {
            return new KprobeLink(link);
        }
        var errno = Marshal.GetLastPInvokeError();
        link.Dispose();
        // What libbpf prints says this once more, in terms of its own.
        throw new BpfException($"attach {Name} to the kernel's {function}{(KernelSupport.HasKprobes ? "" : ", for it has no kprobes")}", errno);
    }

    /// <summary>Attaches a tp_btf program to the tracepoint that it was compiled for.</summary>
    /// <returns>Detaches when disposed.</returns>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public BpfLink AttachTracepoint()
    {
        var fd = Libbpf.bpf_raw_tracepoint_open(null, Fd);
        return fd >= 0 ? new TracepointLink(new FileDescriptor(fd)) : throw new BpfException($"attach {Name} to its tracepoint", -fd);
    }

    /// <summary>Runs a raw_tp program here and now (BPF_PROG_TEST_RUN, since Linux 5.10).</summary>
    /// <param name="argument">The first of the tracepoint's arguments.</param>
    public void Run(long argument)
    {
        var opts = new Libbpf.bpf_test_run_opts
        {
            sz = (nuint)sizeof(Libbpf.bpf_test_run_opts),
            ctx_in = &argument,
            ctx_size_in = sizeof(long),
        };
        var error = Libbpf.bpf_prog_test_run_opts(Fd, &opts);
        if (error < 0)
        {
            throw new BpfException($"run the program {Name}", -error);
        }
    }

    public ProgramStatistics ReadStatistics() => StatisticsOf(ReadInfo());

    /// <summary>The statistics of a pinned program, which another process may have loaded; null where none is pinned there.</summary>
    public static ProgramStatistics? ReadStatistics(PinDirectory pins, string name)
    {
        using var program = pins.Get(name);
        return program is null ? null : StatisticsOf(ReadInfo((int)program.DangerousGetHandle(), "that is pinned"));
    }

    /// <summary>The name of a loaded program of any process, and the user that has loaded it; null where there is none, or this process may not ask
    /// (CAP_SYS_ADMIN).</summary>
    /// <param name="id">The kernel's number of it.</param>
    public static (string Name, uint User)? TryDescribe(int id)
    {
        var fd = Libbpf.bpf_prog_get_fd_by_id((uint)id);
        if (fd < 0)
        {
            return null;
        }
        using var program = new FileDescriptor(fd);
        var info = ReadInfo(fd, $"{id}");
        return (Marshal.PtrToStringUTF8((nint)info.name) ?? "", info.created_by_uid);
    }

    /// <summary>Runs the program on a made-up packet (BPF_PROG_TEST_RUN).</summary>
    /// <param name="packet">From the Ethernet header on, at least 14 bytes.</param>
    /// <param name="context">A struct __sk_buff, or empty.</param>
    /// <param name="repeat">How often.</param>
    /// <returns>The program's return value and the mean duration of a run in nanoseconds.</returns>
    public (int ReturnValue, int Nanoseconds) TestRun(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> context = default, int repeat = 1)
    {
        var ran = TestRun(packet, context, output: default, repeat);
        return ((int)ran.retval, (int)ran.duration);
    }

    /// <summary>Runs the program once on a made-up packet, and gives back the packet as it is then.</summary>
    /// <param name="packet">From the Ethernet header on, at least 14 bytes.</param>
    /// <param name="output">Has room for the packet.</param>
    /// <returns>The program's return value, and how long the packet is then.</returns>
    public (int ReturnValue, int Length) TestRun(ReadOnlySpan<byte> packet, Span<byte> output)
    {
        var ran = TestRun(packet, context: default, output, repeat: 1);
        return ((int)ran.retval, (int)ran.data_size_out);
    }

    private Libbpf.bpf_test_run_opts TestRun(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> context, Span<byte> output, int repeat)
    {
        fixed (byte* data = packet)
        fixed (byte* ctx = context)
        fixed (byte* after = output)
        {
            var opts = new Libbpf.bpf_test_run_opts
            {
                sz = (nuint)sizeof(Libbpf.bpf_test_run_opts),
                data_in = data,
                data_size_in = (uint)packet.Length,
                data_out = after,
                data_size_out = (uint)output.Length,
                ctx_in = ctx,
                ctx_size_in = (uint)context.Length,
                repeat = repeat,
            };
            var error = Libbpf.bpf_prog_test_run_opts(Fd, &opts);
            return error < 0 ? throw new BpfException($"run the program {Name} on a packet of {packet.Length} bytes", -error) : opts;
        }
    }

    private static ProgramStatistics StatisticsOf(in Libbpf.bpf_prog_info info) =>
        new(info.run_cnt, TimeSpan.FromMicroseconds(info.run_time_ns / 1000.0), info.recursion_misses);

    private Libbpf.bpf_prog_info ReadInfo() => ReadInfo(Fd, Name);

    /// <summary>The structure grows with the kernel, which fills as much as both know.</summary>
    private static Libbpf.bpf_prog_info ReadInfo(int fd, string name)
    {
        Libbpf.bpf_prog_info info = default;
        var size = (uint)sizeof(Libbpf.bpf_prog_info);
        var error = Libbpf.bpf_obj_get_info_by_fd(fd, &info, &size);
        return error < 0 ? throw new BpfException($"ask about the program {name}", -error) : info;
    }
}

/// <summary>Keeps a program attached. Disposing detaches it, unless it is pinned.</summary>
public abstract class BpfLink : IDisposable
{
    internal abstract int Fd { get; }

    public abstract void Dispose();
}

internal sealed class KprobeLink(BpfLinkHandle link) : BpfLink
{
    internal override int Fd => Libbpf.bpf_link__fd(link);

    public override void Dispose() => link.Dispose();
}

internal sealed class TracepointLink(FileDescriptor descriptor) : BpfLink
{
    internal override int Fd => (int)descriptor.DangerousGetHandle();

    public override void Dispose() => descriptor.Dispose();
}
