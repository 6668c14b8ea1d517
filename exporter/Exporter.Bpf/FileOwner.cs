using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>Who may change a file.</summary>
public static unsafe class FileOwner
{
    private const int GroupOrOthersMayWrite = 0x12;

    /// <summary>Why the file, behind symbolic links, is not in the hands of root or of this user alone; null where it is.</summary>
    public static string? FindProblem(string path)
    {
        Libc.statx_t status;
        if (Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_BASIC_STATS, &status) != 0)
        {
            return $"{path} cannot be looked at: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}";
        }
        return (status.stx_uid != 0 && status.stx_uid != Libc.geteuid()) || (status.stx_mode & GroupOrOthersMayWrite) != 0
            ? $"{path} can be changed by others than root and this user"
            : null;
    }
}
