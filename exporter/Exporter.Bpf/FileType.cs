using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>The type of a file, which .NET does not say.</summary>
public static unsafe class FileType
{
    private const int TypeBits = 0xF000;
    private const int Pipe = 0x1000;
    private const int CharacterDevice = 0x2000;

    /// <summary>Whether the file at a path, behind symbolic links, is a pipe or a device such as a terminal: each byte of it is read once, and an open may wait.</summary>
    public static bool IsStream(string path)
    {
        Libc.statx_t status;
        return Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, &status) == 0 && (status.stx_mode & TypeBits) is Pipe or CharacterDevice;
    }
}
