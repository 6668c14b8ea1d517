using System.Globalization;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A control group with a limit of memory, of version 2 or, where that does not control memory, of version 1 (cgroups(7)).</summary>
internal sealed class MemoryGroup : IDisposable
{
    private const string Prefix = "podnet-test-";

    private readonly DirectoryInfo _mountPoint = Directory.CreateTempSubdirectory("cgroup");
    private readonly string _path;
    private readonly long _bytes;
    private readonly bool _isSecond;

    /// <param name="bytes">The limit.</param>
    internal MemoryGroup(long bytes)
    {
        _bytes = bytes;
        _isSecond = TryMount("cgroup2") && TryControlMemory();
        if (!_isSecond)
        {
            Shell.TryRun("umount", _mountPoint.FullName);
            if (!TryMount("cgroup", "-o", "memory"))
            {
                _mountPoint.Delete();
                Assert.Skip("this machine has no control groups that limit memory");
            }
        }
        // Those of killed runs, which are empty since.
        foreach (var former in Directory.GetDirectories(_mountPoint.FullName, $"{Prefix}*"))
        {
            Remove(former);
        }
        _path = Directory.CreateDirectory(Path.Combine(_mountPoint.FullName, $"{Prefix}{Guid.NewGuid():N}")).FullName;
        File.WriteAllText(Path.Combine(_path, _isSecond ? "memory.max" : "memory.limit_in_bytes"), bytes.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>How many processes of it were killed because its memory was used up.</summary>
    internal int Kills =>
        int.Parse(File.ReadLines(Path.Combine(_path, _isSecond ? "memory.events" : "memory.oom_control")).Select(line => line.Split(' ')).Single(words => words[0] == "oom_kill")[1], CultureInfo.InvariantCulture);

    /// <summary>A command that runs another in this group, which is killed before all others when memory is used up (oom_score_adj in proc(5)).</summary>
    internal string[] Behind() => Behind("echo 1000 >/proc/self/oom_score_adj");

    /// <summary>What there is of it and is not used, in bytes.</summary>
    internal long Free => _bytes - long.Parse(File.ReadAllText(Path.Combine(_path, _isSecond ? "memory.current" : "memory.usage_in_bytes")), CultureInfo.InvariantCulture);

    /// <summary>Uses so much of it, for a moment.</summary>
    internal void Use(long bytes)
    {
        // tail keeps a line until it ends.
        var command = Behind("true");
        Shell.TryRun(command[0], [.. command[1..], "sh", "-c", $"head -c {bytes.ToString(CultureInfo.InvariantCulture)} /dev/zero | tail -n 1 >/dev/null"]);
    }

    public void Dispose()
    {
        Remove(_path);
        Shell.Run("umount", _mountPoint.FullName);
        _mountPoint.Delete();
    }

    private string[] Behind(string first) => ["sh", "-c", $"echo $$ >{_path}/cgroup.procs && {first} && exec \"$@\"", "sh"];

    /// <summary>A group has no files of its own to remove: rmdir(2).</summary>
    private static void Remove(string group) => Shell.TryRun("rmdir", group);

    private bool TryMount(string type, params string[] options) => Shell.TryRun("mount", ["-t", type, .. options, "none", _mountPoint.FullName]).ExitCode == 0;

    private bool TryControlMemory()
    {
        if (!File.ReadAllText(Path.Combine(_mountPoint.FullName, "cgroup.controllers")).Split(' ', '\n').Contains("memory"))
        {
            return false;
        }
        File.WriteAllText(Path.Combine(_mountPoint.FullName, "cgroup.subtree_control"), "+memory");
        return true;
    }
}
