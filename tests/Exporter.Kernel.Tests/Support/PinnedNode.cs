using Exporter.Bpf;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A node whose exporter comes and goes: a BPF file system for its pins, and one port.</summary>
internal sealed partial class PinnedNode : IDisposable
{
    private readonly DirectoryInfo _mountPoint = Directory.CreateTempSubdirectory("bpffs");
    private readonly string[] _options;

    internal PinnedNode(params string[] options)
    {
        Shell.Run("mount", "-t", "bpf", "bpf", MountPoint);
        _options = options;
    }

    internal string MountPoint => _mountPoint.FullName;

    /// <summary>The directory of the option.</summary>
    internal string Pins => Path.Combine(MountPoint, "podnet");

    /// <summary>The folder of this network namespace in it.</summary>
    internal string Folder => Path.Combine(Pins, NetworkNamespaceId.ReadOwn().Name);

    internal int Port { get; } = ExporterProcess.FreePort();

    internal string[] Options => [$"--Bpf:PinDirectory={Pins}", .. _options];

    internal ExporterProcess Launch(params string[] more) => ExporterProcess.Launch(Port, [.. Options, .. more]);

    /// <summary>Starts it and waits until it listens.</summary>
    internal async Task<ExporterProcess> StartAsync(params string[] more)
    {
        var exporter = Launch(more);
        try
        {
            await exporter.WaitUntilRunningAsync();
            return exporter;
        }
        catch
        {
            exporter.Dispose();
            throw;
        }
    }

    /// <summary>Whether somebody wants what runs here to remove everything: a link that leads nowhere (State/PinnedState.cs).</summary>
    internal bool IsRemovalAskedFor => new FileInfo(Path.Combine(Folder, "uninstall")).LinkTarget is not null;

    internal void AskForRemoval() => File.CreateSymbolicLink(Path.Combine(Folder, "uninstall"), "asked");

    internal (int ExitCode, string Output, string Error) Uninstall() => ExporterProcess.Run(["uninstall", .. Options]);

    /// <summary>Mounts another BPF file system over the one that is there.</summary>
    internal void Hide() => Shell.Run("mount", "-t", "bpf", "bpf", MountPoint);

    public void Dispose()
    {
        Uninstall();
        while (Shell.TryRun("umount", MountPoint).ExitCode == 0)
        {
            Uninstall();
        }
        _mountPoint.Delete(recursive: true);
    }
}

/// <summary>Sends without a pause, from and to each of the pods.</summary>
internal sealed class SteadyLoad : IDisposable
{
    private const int Datagrams = 200;
    private const int Length = 300;

    private readonly List<Thread> _threads;
    private volatile bool _stop;

    internal SteadyLoad(params Pod[] pods)
    {
        _threads = [.. pods.Select(pod => new Thread(() => Send(pod)))];
        _threads.ForEach(thread => thread.Start());
    }

    public void Dispose()
    {
        _stop = true;
        _threads.ForEach(thread => thread.Join());
    }

    private void Send(Pod pod)
    {
        while (!_stop)
        {
            TestTraffic.Udp(pod, System.Net.Sockets.AddressFamily.InterNetwork, Datagrams, Length, fromPod: true);
            TestTraffic.Udp(pod, System.Net.Sockets.AddressFamily.InterNetworkV6, Datagrams, Length, fromPod: false);
            TestTraffic.Tcp(pod, System.Net.Sockets.AddressFamily.InterNetwork, 1 << 16);
        }
    }
}
