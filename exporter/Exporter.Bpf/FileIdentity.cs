using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The inode of a file, by which a file that another program put at its path is recognized.</summary>
public readonly unsafe record struct FileIdentity(ulong Inode, uint Major, uint Minor)
{
    /// <summary>The file at a path, behind symbolic links; null: there is none, or it cannot be looked at.</summary>
    public static FileIdentity? Of(string path) => Find(Libc.AT_FDCWD, path, 0);

    /// <summary>The open file, wherever it is now.</summary>
    public static FileIdentity? Of(SafeHandle file)
    {
        using var held = new HeldDescriptor(file);
        return Find(held.Fd, "", Libc.AT_EMPTY_PATH);
    }

    private static FileIdentity? Find(int directory, string path, int flags)
    {
        Libc.statx_t status;
        return Libc.statx(directory, path, flags, Libc.STATX_BASIC_STATS, &status) == 0 ? new(status.stx_ino, status.stx_dev_major, status.stx_dev_minor) : null;
    }
}
