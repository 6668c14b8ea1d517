namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A volume of a ConfigMap, as the kubelet makes and mounts it (pkg/volume/util/atomic_writer.go): a directory that all may write to, mounted
/// read-only, in which one link decides on the version of all files.
/// </summary>
internal sealed class ConfigMapVolume : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("volume");
    private readonly string _volume;
    private int _version;

    internal ConfigMapVolume()
    {
        _volume = Directory.CreateDirectory(Path.Combine(_directory.FullName, "volume")).FullName;
        MountPoint = Directory.CreateDirectory(Path.Combine(_directory.FullName, "mounted")).FullName;
        File.SetUnixFileMode(_volume, (UnixFileMode)0b111_111_111);
        Shell.Run("mount", "--bind", _volume, MountPoint);
        Shell.Run("mount", "-o", "remount,ro,bind", MountPoint);
    }

    internal string MountPoint { get; }

    /// <summary>Where the file of this name is found, whatever its version.</summary>
    internal string PathOf(string name) => Path.Combine(MountPoint, name);

    /// <summary>Gives the one file its content, in one step.</summary>
    internal void Publish(string name, ReadOnlySpan<byte> content)
    {
        var version = $"..v{++_version}";
        Directory.CreateDirectory(Path.Combine(_volume, version));
        File.WriteAllBytes(Path.Combine(_volume, version, name), content);
        File.CreateSymbolicLink(Path.Combine(_volume, "..data_tmp"), version);
        Shell.Run("mv", "-T", Path.Combine(_volume, "..data_tmp"), Path.Combine(_volume, "..data"));
        if (_version == 1)
        {
            File.CreateSymbolicLink(Path.Combine(_volume, name), $"..data/{name}");
        }
    }

    public void Dispose()
    {
        Shell.Run("umount", MountPoint);
        _directory.Delete(recursive: true);
    }
}
