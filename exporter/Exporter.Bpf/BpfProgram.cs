using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>A loaded program. Does not own its file descriptor: the object does.</summary>
public sealed unsafe class BpfProgram
{
    internal BpfProgram(string name, int fd)
    {
        Name = name;
        Fd = fd;
        // bpf_prog_info grows with the kernel; it fills as much as there is room for.
        Libbpf.bpf_prog_info info = default;
        var size = (uint)sizeof(Libbpf.bpf_prog_info);
        var error = Libbpf.bpf_obj_get_info_by_fd(fd, &info, &size);
        if (error < 0)
        {
            throw new BpfException($"ask for the id of the program {name}", -error);
        }
        Id = (int)info.id;
    }

    public string Name { get; }

    public int Fd { get; }

    /// <summary>The kernel's number of this loaded program, as bpftool shows it.</summary>
    public int Id { get; }

    /// <summary>Runs the program on a made-up packet (BPF_PROG_TEST_RUN).</summary>
    /// <param name="packet">From the Ethernet header on, at least 14 bytes.</param>
    /// <param name="context">A struct __sk_buff, or empty.</param>
    /// <param name="repeat">How often.</param>
    /// <returns>The program's return value and the mean duration of a run in nanoseconds.</returns>
    public (int ReturnValue, int Nanoseconds) TestRun(ReadOnlySpan<byte> packet, ReadOnlySpan<byte> context = default, int repeat = 1)
    {
        fixed (byte* data = packet)
        fixed (byte* ctx = context)
        {
            var opts = new Libbpf.bpf_test_run_opts
            {
                sz = (nuint)sizeof(Libbpf.bpf_test_run_opts),
                data_in = data,
                data_size_in = (uint)packet.Length,
                ctx_in = context.IsEmpty ? null : ctx,
                ctx_size_in = (uint)context.Length,
                repeat = repeat,
            };
            var error = Libbpf.bpf_prog_test_run_opts(Fd, &opts);
            return error < 0
                ? throw new BpfException($"run the program {Name} on a packet of {packet.Length} bytes", -error)
                : ((int)opts.retval, (int)opts.duration);
        }
    }
}
