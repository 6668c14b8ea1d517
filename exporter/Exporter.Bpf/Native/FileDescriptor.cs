using Microsoft.Win32.SafeHandles;

namespace Exporter.Bpf.Native;

/// <summary>Owns a file descriptor: a socket, an eventfd, a BPF link.</summary>
internal sealed class FileDescriptor : SafeHandleMinusOneIsInvalid
{
    public FileDescriptor()
        : base(ownsHandle: true)
    {
    }

    internal FileDescriptor(int fd)
        : this() => SetHandle(fd);

    protected override bool ReleaseHandle() => Libc.close((int)handle) == 0;
}
