using System.Text.RegularExpressions;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A node whose exporter comes and goes: a BPF file system for its pins, and one port.</summary>
internal sealed partial class PinnedNode : IDisposable
{
    private readonly DirectoryInfo _mountPoint = Directory.CreateTempSubdirectory("bpffs");
    private readonly string[] _options;
    private Dictionary<string, double> _last = [];

    internal PinnedNode(params string[] options)
    {
        Shell.Run("mount", "-t", "bpf", "bpf", MountPoint);
        _options = options;
    }

    internal string MountPoint => _mountPoint.FullName;

    internal string Pins => Path.Combine(MountPoint, "podnet");

    internal int Port { get; } = ExporterProcess.FreePort();

    internal string[] Options => [$"--Bpf:PinDirectory={Pins}", .. _options];

    /// <summary>The interface's own counters, and what was counted for the pod.</summary>
    internal static async Task AssertExactAsync(ExporterProcess exporter, params Pod[] pods)
    {
        foreach (var pod in pods)
        {
            await exporter.ScrapeUntilAsync(samples => IsExact(samples.Traffic(pod.Name), pod.ReadCounters()));
        }
        var last = await exporter.ScrapeAsync();
        Assert.Equal(0, last.Sum("podnet_exporter_unattributed_packets_total"));
        Assert.Equal(0, last.Sum("podnet_exporter_lost_packets_total"));
    }

    /// <summary>What the interface has dropped itself was handed to it, and is in our counters, whose bytes the interface does not tell.</summary>
    private static bool IsExact(InterfaceCounters counted, InterfaceCounters kernel) => kernel.ReceiveDropped == 0
        ? counted == kernel
        : counted with { ReceivedBytes = 0 } == kernel with { ReceivedPackets = kernel.ReceivedPackets + kernel.ReceiveDropped, ReceivedBytes = 0, ReceiveDropped = 0 };

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

    /// <summary>A scrape in which no counter that was there before is less, or gone.</summary>
    internal void AssertOnward(MetricSamples samples)
    {
        var now = samples.All.Where(sample => Lasting().IsMatch(sample.Key)).ToDictionary();
        Assert.All(_last, before =>
        {
            Assert.True(now.TryGetValue(before.Key, out var value), $"{before.Key} is gone");
            Assert.True(value >= before.Value, $"{before.Key} went back from {before.Value:R} to {value:R}");
        });
        _last = now;
    }

    internal (int ExitCode, string Output, string Error) Uninstall() => ExporterProcess.Run(["uninstall", .. Options]);

    public void Dispose()
    {
        Uninstall();
        Shell.TryRun("umount", MountPoint);
        _mountPoint.Delete(recursive: true);
    }

    [GeneratedRegex("^podnet_(transmit_|receive_|packet_size|tcp_handshake|exporter_(unattributed|excluded|folded|retired|lost)_)")]
    private static partial Regex Lasting();
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
