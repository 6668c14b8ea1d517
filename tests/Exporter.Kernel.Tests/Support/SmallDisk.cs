namespace Exporter.Kernel.Tests.Support;

/// <summary>A folder that is removed with all that is in it.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("podnet");

    internal string Path => _folder.FullName;

    public void Dispose() => _folder.Delete(recursive: true);
}

/// <summary>A file system of a few megabytes, which can be filled (tmpfs(5)).</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly string _ballast;

    internal SmallDisk(int megabytes)
    {
        Folder = Directory.CreateTempSubdirectory("disk");
        _ballast = Path.Combine(Folder.FullName, "ballast");
        Shell.Run("mount", "-t", "tmpfs", "-o", FormattableString.Invariant($"size={megabytes}m"), "tmpfs", Folder.FullName);
    }

    internal DirectoryInfo Folder { get; }

    /// <summary>Takes all of its room.</summary>
    internal void Fill()
    {
        // It fails where there is no more.
        Shell.TryRun("dd", "if=/dev/zero", $"of={_ballast}", "bs=4096", "oflag=append", "conv=notrunc");
    }

    /// <summary>Gives it back.</summary>
    internal void Free() => File.Delete(_ballast);

    public void Dispose()
    {
        Shell.Run("umount", Folder.FullName);
        Folder.Delete();
    }
}
