using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Many veth pairs whose other ends are in one namespace, as good as many pods for the one who attaches.</summary>
internal sealed class Veths : IDisposable
{
    private readonly NetworkNamespace _namespace;
    private readonly int _first;
    private SafeFileHandle? _nameless;
    private int _count;

    /// <param name="first">The number of the first: those that are there at once have different ones.</param>
    internal Veths(int count, int first = 0)
    {
        (_first, _namespace) = (first, new(string.Create(CultureInfo.InvariantCulture, $"veths{first}")));
        Add(count);
    }

    internal IEnumerable<int> Ifindexes => Numbers.Select(Ifindex);

    private IEnumerable<int> Numbers => Enumerable.Range(_first, _count);

    /// <summary>One more; returns its index.</summary>
    internal int Add()
    {
        Add(1);
        return Ifindex(_first + _count - 1);
    }

    /// <summary>Brings all of them up, and takes the name from the namespace, so that each interface counts as a pod.</summary>
    internal void MakePods()
    {
        RunBatch(Numbers.Select(i => $"link set pntb{i} addrgenmode none up"));
        RunBatch(Numbers.Select(i => $"link set p{i} addrgenmode none up"), "-n", _namespace.Name);
        _nameless = File.OpenHandle($"/run/netns/{_namespace.Name}");
        Shell.Ip($"netns delete {_namespace.Name}");
    }

    /// <summary>Sends TCP, UDP and ICMP into each.</summary>
    internal void SendFrames() => SendFrames(6, 17, 1);

    /// <summary>Sends a packet of each of these protocols of IPv4 into each.</summary>
    internal void SendFrames(params ReadOnlySpan<byte> protocols)
    {
        var frame = new byte[60];
        (frame[12], frame[14]) = (0x08, 0x45);
        foreach (var i in Numbers)
        {
            using var host = FrameSocket.Open(null, $"pntb{i}");
            foreach (var protocol in protocols)
            {
                frame[23] = protocol;
                host.Send(frame);
            }
        }
    }

    /// <summary>Sends each frame into each.</summary>
    internal void Send(IReadOnlyList<byte[]> frames)
    {
        foreach (var i in Numbers)
        {
            using var host = FrameSocket.Open(null, $"pntb{i}");
            foreach (var frame in frames)
            {
                host.Send(frame);
            }
        }
    }

    /// <summary>The last of them are gone.</summary>
    internal void Remove(int count)
    {
        _count -= count;
        RunBatch(Enumerable.Range(_first + _count, count).Select(i => $"link delete pntb{i}"));
    }

    public void Dispose()
    {
        // All of them go at once with the namespace that has their other ends.
        _nameless?.Dispose();
        _namespace.Dispose();
        SpinWait.SpinUntil(() => !Numbers.Any(i => Directory.Exists($"/sys/class/net/pntb{i}")), TimeSpan.FromMinutes(2));
    }

    private static int Ifindex(int number) =>
        int.Parse(File.ReadAllText($"/sys/class/net/pntb{number}/ifindex"), CultureInfo.InvariantCulture);

    private void Add(int count)
    {
        RunBatch(Enumerable.Range(_first + _count, count).Select(i => $"link add pntb{i} type veth peer name p{i} netns {_namespace.Name}"));
        _count += count;
    }

    private static void RunBatch(IEnumerable<string> lines, params ReadOnlySpan<string> options)
    {
        var batch = Path.GetTempFileName();
        File.WriteAllLines(batch, lines);
        Shell.Run("ip", [.. options, "-batch", batch]);
        File.Delete(batch);
    }
}
