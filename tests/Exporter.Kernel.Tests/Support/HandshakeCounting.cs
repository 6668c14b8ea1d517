using Exporter.Bpf;
using Exporter.Bpf.Netlink;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The handshake programs, attached by tracepoints, and a thread that drains them every 100 ms from the start to the end.</summary>
internal sealed class HandshakeCounting : IDisposable
{
    /// <summary>One microsecond to an hour, in powers of ten and what TCP's timeouts make interesting.</summary>
    private static readonly ulong[] Bounds = [1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 500_000_000, 2_000_000_000, 3_600_000_000_000];

    private readonly HandshakePrograms _programs;
    private readonly LinkClient _client = new();
    internal NetNamespaces Namespaces { get; } = NetNamespaces.Load();

    private readonly Dictionary<ulong, HandshakeValue> _totals = [];
    private readonly ManualResetEventSlim _stop = new();
    private readonly Thread _thread;

    internal HandshakeCounting(int maxNamespaces = 256, int maxRetransmitting = 1024)
    {
        _programs = HandshakePrograms.Attach(HandshakeAttachType.Tracepoint, Bounds, maxNamespaces, maxRetransmitting);
        _programs.Activate();
        _thread = new Thread(() =>
        {
            while (!_stop.Wait(100))
            {
                Drain();
                Drains++;
            }
        });
        _thread.Start();
    }

    internal HandshakePrograms Programs => _programs;

    internal int Drains { get; private set; }

    internal ulong Network(NetworkNamespace ns)
    {
        using var file = File.OpenHandle($"/run/netns/{ns.Name}");
        return Namespaces.Find(_client.GetNamespaceId(file)!.Value);
    }

    /// <summary>What was counted in a pod's namespace so far.</summary>
    internal HandshakeValue Of(Pod pod) => Of(Network(pod.Namespace));

    /// <summary>What was counted in the test's own namespace so far.</summary>
    internal HandshakeValue OfHost() => Of(Namespaces.FindOwn());

    internal ulong ReadLoss(HandshakeLoss loss) => _programs.Losses.Read((int)loss);

    /// <summary>How often the kernel has skipped a program, for another one ran on the same CPU (recursion): nothing that it would have counted is counted.</summary>
    internal ulong CountSkips() => _programs.Programs.Aggregate(0ul, (sum, program) => sum + program.ReadStatistics().Misses);

    internal ulong AllLosses() => Enum.GetValues<HandshakeLoss>().Aggregate(0ul, (sum, loss) => sum + ReadLoss(loss));

    internal int CountLate()
    {
        lock (_totals)
        {
            return _programs.Retransmitting.Read().Length;
        }
    }

    public void Dispose()
    {
        _stop.Set();
        _thread.Join();
        _stop.Dispose();
        _programs.Dispose();
        Namespaces.Dispose();
        _client.Dispose();
    }

    private HandshakeValue Of(ulong network)
    {
        Assert.NotEqual(0ul, network);
        lock (_totals)
        {
            Drain();
            return _totals.GetValueOrDefault(network);
        }
    }

    private void Drain()
    {
        lock (_totals)
        {
            foreach (var row in _programs.Handshakes.Current.Drain())
            {
                var total = _totals.GetValueOrDefault(row.Key.Netns);
                total.Add(row.Value);
                _totals[row.Key.Netns] = total;
            }
        }
    }
}

/// <summary>What a role's counters amount to.</summary>
internal static class HandshakeCounts
{
    internal static ulong Completed(this in HandshakeRole role)
    {
        var sum = 0ul;
        foreach (var range in (ReadOnlySpan<HandshakeDuration>)role.Durations)
        {
            sum += range.Handshakes;
        }
        return sum;
    }

    internal static ulong Nanoseconds(this in HandshakeRole role)
    {
        var sum = 0ul;
        foreach (var range in (ReadOnlySpan<HandshakeDuration>)role.Durations)
        {
            sum += range.Nanoseconds;
        }
        return sum;
    }

    /// <summary>The reasons of which there are any, as often as they are.</summary>
    internal static IEnumerable<HandshakeFailure> Failed(this HandshakeRole role) =>
        Enum.GetValues<HandshakeFailure>().SelectMany(reason => Enumerable.Repeat(reason, (int)role.Failures[(int)reason]));
}
