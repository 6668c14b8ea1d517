using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The kernel, or libbpf on its behalf, refused an operation.</summary>
public class BpfException : Exception
{
    /// <param name="message">All there is to say.</param>
    private protected BpfException(string message)
        : base(message) => (Operation, Log) = ("", "");

    internal BpfException(string operation, int errno, string log = "")
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

    private static string Compose(string operation, int errno, string log)
    {
        // The verifier's reason stands at the end of its log; the register states before it help few readers.
        const int TailLines = 8;
        var message = $"Cannot {operation}: {Errno.Describe(errno)}";
        var lines = log.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return lines.Length == 0 ? message : $"{message}\n{string.Join('\n', lines.TakeLast(TailLines))}";
    }
}
