using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The kernel, or libbpf on its behalf, refused an operation.</summary>
public class BpfException : KernelException
{
    /// <summary>Numbers from here on are libbpf's own.</summary>
    private const int FirstOfLibbpf = 4000;

    private const string LibbpfPrefix = "libbpf: ";

    /// <param name="message">All there is to say.</param>
    private protected BpfException(string message)
        : base(message, errno: 0) => (Operation, Log) = ("", "");

    /// <param name="operation">The operation that failed, in words that fit behind "cannot".</param>
    public BpfException(string operation, int errno, string log = "")
        : base(Compose(operation, errno, log), errno)
    {
        Operation = operation;
        Log = string.Join('\n', log.Split('\n').Select(line => line.StartsWith(LibbpfPrefix, StringComparison.Ordinal) ? line[LibbpfPrefix.Length..] : line));
        IsOfVerifier = VerifierLines(log).Length > 0;
    }

    /// <summary>The operation that failed, in words that fit behind "cannot".</summary>
    public string Operation { get; }

    /// <summary>The lines that libbpf logged meanwhile, the verifier's log included; empty without any.</summary>
    public string Log { get; }

    /// <summary>Whether the verifier refused a program, rather than the kernel the operation.</summary>
    public bool IsOfVerifier { get; }

    /// <summary>Describes an error of libbpf about an object (libbpf.h, enum libbpf_errno).</summary>
    private static unsafe string Describe(int errno)
    {
        const int Room = 128;
        var text = stackalloc byte[Room];
        _ = Libbpf.libbpf_strerror(errno, text, Room);
        return Marshal.PtrToStringUTF8((nint)text) ?? "";
    }

    private static string Compose(string operation, int errno, string log)
    {
        // The verifier's reason stands at the end of its log; the register states before it help few readers.
        const int TailLines = 8;
        var message = $"Cannot {operation}: {(errno >= FirstOfLibbpf ? Describe(errno) : Errno.Describe(errno))}";
        var lines = VerifierLines(log);
        if (lines.Length == 0 && errno is not (Errno.EPERM or Errno.EACCES))
        {
            lines = [.. Lines(log).Select(line => line.StartsWith(LibbpfPrefix, StringComparison.Ordinal) ? line[LibbpfPrefix.Length..] : line)];
        }
        return lines.Length == 0 ? message : $"{message}\n{string.Join('\n', lines.TakeLast(TailLines))}";
    }

    /// <summary>libbpf puts its name before each line of its own, and not before the verifier's.</summary>
    private static string[] VerifierLines(string log) =>
        Lines(log).Any(line => line.Contains("BEGIN PROG LOAD LOG", StringComparison.Ordinal))
            ? [.. Lines(log).Where(line => !line.StartsWith(LibbpfPrefix, StringComparison.Ordinal))]
            : [];

    private static string[] Lines(string log) => log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
