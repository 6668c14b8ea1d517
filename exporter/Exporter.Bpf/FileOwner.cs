using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>Checks which users may change a file.</summary>
public static unsafe class FileOwner
{
    private const int GroupOrOthersMayWrite = 0x12;

    /// <summary>Why the file, behind symbolic links, is not in the hands of root or of this user alone; null where it is.</summary>
    /// <param name="isReadOnlyEnough">
    /// Whether a read-only mount is enough, whatever the mode: the kubelet makes the directory of a ConfigMap with mode 0777, which no other process
    /// reaches.
    /// </param>
    public static string? FindProblem(string path, bool isReadOnlyEnough = false)
    {
        Libc.statx_t status;
        if (Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, &status) != 0)
        {
            return $"{path} cannot be looked at: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}";
        }
        var mayWrite = (status.stx_mode & GroupOrOthersMayWrite) != 0 && !(isReadOnlyEnough && IsReadOnly(path));
        return (status.stx_uid != 0 && status.stx_uid != Libc.geteuid()) || mayWrite
            ? $"{path} can be changed by others than root and this user"
            : null;
    }

    private static bool IsReadOnly(string path)
    {
        Libc.statfs_t status;
        return Libc.statfs(path, &status) == 0 && (status.f_flags & Libc.ST_RDONLY) != 0;
    }
}
