namespace Exporter.Bpf.Native;

/// <summary>The kernel, or a library on its behalf, refused an operation.</summary>
public abstract class KernelException : Exception
{
    private protected KernelException(string message, int errno)
        : base(message) => ErrorNumber = errno;

    /// <summary>The errno, positive; from 4000 on libbpf's own numbers; 0 where there is none.</summary>
    public int ErrorNumber { get; internal init; }

    /// <summary>The errno's name in lower case, as a metric's label wants it, or <c>other</c>.</summary>
    public string Reason => Errno.NameOf(ErrorNumber)?.ToLowerInvariant() ?? "other";
}
