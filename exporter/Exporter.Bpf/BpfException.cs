using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The kernel, or libbpf on its behalf, refused an operation.</summary>
public class BpfException : Exception
{
    /// <summary>Numbers from here on are libbpf's own.</summary>
    private const int FirstOfLibbpf = 4000;

    /// <param name="message">All there is to say.</param>
    private protected BpfException(string message)
        : base(message) => (Operation, Log) = ("", "");

    /// <param name="operation">What was tried, in words that fit behind "cannot".</param>
    public BpfException(string operation, int errno, string log = "")
        : base(Compose(operation, errno, log))
    {
        Operation = operation;
        ErrorNumber = errno;
        Log = log;
    }

    /// <summary>What was tried, in words that fit behind "cannot".</summary>
    public string Operation { get; }

    /// <summary>The kernel's errno, positive.</summary>
    public int ErrorNumber { get; internal init; }

    /// <summary>What libbpf said meanwhile, the verifier's log included; empty where it said nothing.</summary>
    public string Log { get; }

    /// <summary>What libbpf finds wrong with an object (libbpf.h, enum libbpf_errno).</summary>
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
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length == 0 ? message : $"{message}\n{string.Join('\n', lines.TakeLast(TailLines))}";
    }
}
