using System.Runtime.InteropServices;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A directory in a BPF file system. Pinned objects live on without a process, until they are removed or the machine stops. Only its owner may change
/// it: a process that could exchange a map could forge counts. The directory of the option has a folder for each network namespace, since several
/// nodes on one machine may share the file system.
/// </summary>
public sealed unsafe class PinDirectory : IDisposable
{
    /// <summary>BPF_FS_MAGIC (include/uapi/linux/magic.h).</summary>
    private const long BpfFsMagic = 0xcafe4a11;

    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The note that a directory has until the filters of the earlier version that used it are taken over.</summary>
    private const string EarlierNote = "earlier";

    private readonly FileDescriptor _directory;

    private PinDirectory(string path, FileDescriptor directory, PinDirectory? parent)
    {
        (Path, _directory, Parent) = (path, directory, parent);
        // What the kernel calls it, without symbolic links.
        Owner = parent?.Owner ?? new FileInfo($"/proc/self/fd/{directory.DangerousGetHandle()}").LinkTarget ?? path;
    }

    public string Path { get; }

    /// <summary>The directory that this is a folder of; null for the directory of the option. Disposed with its folder.</summary>
    public PinDirectory? Parent { get; }

    /// <summary>The path of the option's directory, by which filters say whose they are.</summary>
    public string Owner { get; }

    /// <summary>Whether an earlier version has used it, and its filters have not all been taken over or removed.</summary>
    public bool IsOfEarlierVersion
    {
        get => ReadNote(EarlierNote) is not null;
        set
        {
            if (!value)
            {
                Remove(EarlierNote);
            }
            else if (!IsOfEarlierVersion)
            {
                WriteNote(EarlierNote, "its filters do not say whose they are");
            }
        }
    }

    /// <summary>Whether there is something at this path that could be opened.</summary>
    public static bool Exists(string path) => Directory.Exists(path);

    /// <summary>Opens the directory, and makes it where there is none.</summary>
    /// <exception cref="PinException">It is in no BPF file system, or others may change it, or this process may not.</exception>
    public static PinDirectory Open(string path)
    {
        var parent = path;
        while (parent is not null && !Directory.Exists(parent))
        {
            parent = System.IO.Path.GetDirectoryName(parent);
        }
        Libc.statfs_t fileSystem;
        if (parent is null || Libc.statfs(parent, &fileSystem) != 0 || fileSystem.f_type != BpfFsMagic)
        {
            throw new PinException($"{path} is in no BPF file system; mount one with 'mount -t bpf bpf /sys/fs/bpf'");
        }
        try
        {
            Directory.CreateDirectory(path, Mode);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PinException($"{path} cannot be made: {e.Message}");
        }
        RequireOwner(path);
        // Several processes may open it at once.
        var probe = System.IO.Path.Combine(path, $"probe_{Guid.NewGuid():N}");
        try
        {
            Directory.CreateDirectory(probe, Mode);
            Directory.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PinException($"{path} cannot be written to: {e.Message}");
        }
        return new PinDirectory(path, OpenPath(path), null);
    }

    /// <summary>Opens a directory in this one, and makes it where there is none.</summary>
    /// <returns>Owns this one from now on.</returns>
    /// <exception cref="PinException">Others may change it, or this process may not make it.</exception>
    public PinDirectory OpenFolder(string name)
    {
        var path = Resolve(name);
        MakePart(name);
        RequireOwner(path);
        return new PinDirectory(path, OpenPath(path), this);
    }

    /// <summary>Whether somebody has removed the directory since it was opened, whatever has been made in its place.</summary>
    public bool IsRemoved
    {
        get
        {
            Libc.statx_t status;
            return Libc.statx((int)_directory.DangerousGetHandle(), "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, &status) == 0 && status.stx_nlink == 0;
        }
    }

    /// <summary>
    /// Whether the path names this directory no more: it was removed, or another file system is mounted over it. What this process
    /// pins is then found by no other.
    /// </summary>
    public bool IsLost
    {
        get
        {
            Libc.statx_t own, found;
            return Libc.statx((int)_directory.DangerousGetHandle(), "", Libc.AT_EMPTY_PATH, Libc.STATX_BASIC_STATS, &own) == 0
                && (Libc.statx(Libc.AT_FDCWD, Path, 0, Libc.STATX_BASIC_STATS, &found) != 0
                    || (own.stx_ino, own.stx_dev_major, own.stx_dev_minor) != (found.stx_ino, found.stx_dev_major, found.stx_dev_minor));
        }
    }

    /// <summary>
    /// Takes the lock of the directory, which ends with the process at the latest (flock(2)): only the process that has it attaches, drains and pins
    /// here.
    /// </summary>
    /// <returns>Whether this process has it now.</returns>
    public bool TryLock() => Libc.flock(_directory, Libc.LOCK_EX | Libc.LOCK_NB) == 0;

    /// <summary>Takes the lock together with others who take it so.</summary>
    /// <returns>Whether no process has it for itself.</returns>
    public bool TryLockShared() => Libc.flock(_directory, Libc.LOCK_SH | Libc.LOCK_NB) == 0;

    /// <summary>Gives the lock back.</summary>
    public void Unlock() => _ = Libc.flock(_directory, Libc.LOCK_UN);

    /// <summary>The names of pins, of directories and of notes, in a part of it.</summary>
    /// <param name="part">The name of a directory; empty for this one.</param>
    public IReadOnlyList<string> List(string part = "")
    {
        try
        {
            return [.. Directory.EnumerateFileSystemEntries(Resolve(part)).Select(entry => System.IO.Path.GetFileName(entry))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // None was made, or it was removed.
            return [];
        }
    }

    public void MakePart(string part) => Try($"make {part}", () => Directory.CreateDirectory(Resolve(part), Mode));

    /// <summary>Keeps a text, as the target of a symbolic link: the one thing besides pins and directories that this file system can have.</summary>
    public void WriteNote(string name, string text) => Try($"write {name}", () => File.CreateSymbolicLink(Resolve(name), text));

    /// <summary>Null where there is none.</summary>
    public string? ReadNote(string name) => new FileInfo(Resolve(name)).LinkTarget;

    /// <summary>Removes a pin, a note, or a directory with all that is in it. No error if it does not exist.</summary>
    public void Remove(string name)
    {
        var path = Resolve(name);
        Try($"remove {name}", () =>
        {
            if (Directory.Exists(path) && new FileInfo(path).LinkTarget is null)
            {
                Directory.Delete(path, recursive: true);
            }
            else
            {
                try
                {
                    File.Delete(path);
                }
                catch (DirectoryNotFoundException)
                {
                    // The directory that it was in was removed with it.
                }
            }
        });
    }

    /// <summary>Moves a pin, a note or a directory into another directory of the file system. It is in one of the two at any time (rename(2)).</summary>
    public void Move(string name, PinDirectory target)
    {
        var (source, destination) = (Resolve(name), target.Resolve(name));
        if (Libc.rename(source, destination) != 0)
        {
            throw new PinException($"Cannot move {source} to {destination}: {Errno.Describe(Marshal.GetLastPInvokeError())}");
        }
    }

    /// <summary>Removes the directory itself if nothing is in it. Returns whether it is gone.</summary>
    public bool TryRemoveEmpty()
    {
        try
        {
            Directory.Delete(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Another process has just made something in it.
        }
        return !Directory.Exists(Path);
    }

    /// <summary>Removes the directory itself, with all that is in it.</summary>
    public void RemoveAll() => Try("remove it", () => Directory.Delete(Path, recursive: true));

    public void Dispose()
    {
        _directory.Dispose();
        Parent?.Dispose();
    }

    /// <summary>Pins a program.</summary>
    /// <inheritdoc cref="Pin(int, string)"/>
    public void Pin(BpfProgram program, string name) => Pin(program.Fd, name);

    /// <summary>Pins a link, which keeps its program attached.</summary>
    /// <inheritdoc cref="Pin(int, string)"/>
    public void Pin(BpfLink link, string name) => Pin(link.Fd, name);

    /// <summary>Pins a map, program or link, and replaces a pin of the same name.</summary>
    /// <exception cref="PinException">The kernel refused.</exception>
    internal void Pin(int fd, string name)
    {
        var path = Resolve(name);
        var error = Libbpf.bpf_obj_pin(fd, path);
        if (error == -Errno.EEXIST)
        {
            Remove(name);
            error = Libbpf.bpf_obj_pin(fd, path);
        }
        if (error < 0)
        {
            throw new PinException($"Cannot pin {path}: {Errno.Describe(-error)}") { ErrorNumber = -error };
        }
    }

    /// <summary>Returns a descriptor of the pinned object, or null.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    /// <exception cref="PinException">It belongs to somebody else.</exception>
    internal FileDescriptor? Get(string name)
    {
        var path = Resolve(name);
        if (!File.Exists(path))
        {
            return null;
        }
        RequireOwner(path);
        var fd = Libbpf.bpf_obj_get(path);
        return fd >= 0 ? new FileDescriptor(fd) : fd == -Errno.ENOENT ? null : throw new BpfException($"open the pin {path}", -fd);
    }

    /// <summary>Whether something is pinned there.</summary>
    public bool Has(string name) => File.Exists(Resolve(name));

    private static FileDescriptor OpenPath(string path)
    {
        var directory = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (directory.IsInvalid)
        {
            directory.Dispose();
            throw new PinException($"{path} cannot be opened");
        }
        return directory;
    }

    private static void RequireOwner(string path)
    {
        if (FileOwner.FindProblem(path) is { } problem)
        {
            throw new PinException($"{problem}; remove it, or give it to root with mode 0700");
        }
    }

    private string Resolve(string name) => System.IO.Path.Combine(Path, name);

    private void Try(string operation, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PinException($"In {Path}, cannot {operation}: {e.Message}");
        }
    }
}
