using System.Buffers.Binary;
using System.Diagnostics;
using System.Net;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>SYNs of endless senders at some pods, while another one talks.</summary>
public sealed class FlowFloodTests(ITestOutputHelper output)
{
    /// <summary>All frames of a flood.</summary>
    private static readonly int Frames = EnvironmentNumber.Read("PODNET_FLOOD_FRAMES") ?? 600_000;

    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    public async Task Beside_a_flood_of_SYNs_another_pod_has_all_its_records_and_edges(int flooded)
    {
        const int MaxGrowth = 64 << 20;
        using var node = new FlowNode("--Edges:Level=workload");
        using var exporter = await node.StartAsync();
        using var pod = await exporter.AddPodAsync();
        using var others = new Disposables<Pod>([.. await Task.WhenAll(Enumerable.Range(0, flooded).Select(_ => exporter.AddPodAsync()))]);
        using var server = TcpSockets.Listen(null);
        List<(IPEndPoint Client, int Bytes)> talks = [];
        var began = Stopwatch.GetTimestamp();
        using (var flood = new SynFlood(others.All))
        {
            await flood.WaitForAsync(Frames / 3);
            var memory = ReadMemory(exporter);
            while (flood.Sent < Frames)
            {
                using var connection = Connection.Open(pod, new(pod.Address, 0), server, pod.HostAddress);
                talks.Add((connection.ClientEnd, 100 + talks.Count));
                connection.Send(talks[^1].Bytes);
                connection.Answer(1000);
                await Task.Delay(20, TestContext.Current.CancellationToken);
            }
            var growth = ReadMemory(exporter) - memory;
            output.WriteLine($"{flood.Sent / Stopwatch.GetElapsedTime(began).TotalSeconds:N0} SYNs a second at {flooded} pods, {talks.Count} connections beside them; memory grew by {growth >> 20} of {memory >> 20} MiB");
            Assert.True(growth < MaxGrowth, $"memory grew by {growth} bytes");
        }

        await node.AssertExactAsync(exporter, [pod, .. others.All]);
        var records = node.Records.Flows.Where(flow => flow.Interface == pod.Interface && flow.Text("network.transport") == "tcp").ToLookup(flow => flow.Tuple);
        Assert.Equal(talks.Select(talk => FlowLife.TupleOf("tcp", talk.Client, new(pod.HostAddress, server.Port()))).Order(), records.Select(group => group.Key).Order());
        Assert.All(records, group => Assert.Equal((1, "closed", "fin"), (group.Sum(record => record.Connections), group.Last(record => record.State is not null).State, group.Single(record => record.EndReason is not null).EndReason)));
        Assert.All(records.SelectMany(group => group), record => Assert.False(record.Has("sampling.probability") || record.Has("flow.distinct"), record.ToString()));
        Assert.DoesNotContain(node.Records.Rests, rest => rest.Interface == pod.Interface && rest.Text("rest.reason") != "not_ip");
        // Of what the pod says of itself meanwhile, as neighbour discovery, edges have the counts a moment before the records.
        var samples = await exporter.ScrapeUntilAsync(samples => pod.ReadCounters().IsCountedAs(samples.Edges(pod.Name))
            && samples.Sum("podnet_edge_connections_total", $"workload=\"{pod.Name}\"", "role=\"client\"")
            == node.Records.Flows.Where(flow => flow.Interface == pod.Interface && flow.IsLocalSource).Sum(flow => flow.Connections));
        Assert.Equal(0, samples.Sum("podnet_edge_transmit_packets_total", $"workload=\"{pod.Name}\"", "peer=\"__other__\""));
        Assert.Contains(node.Records.Rests, rest => rest.Text("rest.reason") is "map_full" or "pod_full");
    }

    /// <summary>Resident bytes.</summary>
    private static long ReadMemory(ExporterProcess exporter)
    {
        using var process = Process.GetProcessById(exporter.Id);
        return process.WorkingSet64;
    }

    /// <summary>SYNs into pods as fast as one thread sends them, each of another connection to one port.</summary>
    private sealed class SynFlood : IDisposable
    {
        private readonly Thread _thread;
        private long _sent;
        private volatile bool _stop;

        internal SynFlood(IReadOnlyList<Pod> pods)
        {
            _thread = new Thread(() => Send(pods));
            _thread.Start();
        }

        internal long Sent => Interlocked.Read(ref _sent);

        internal async Task WaitForAsync(long frames)
        {
            while (Sent < frames)
            {
                await Task.Delay(20);
            }
        }

        public void Dispose()
        {
            _stop = true;
            _thread.Join();
        }

        private void Send(IReadOnlyList<Pod> pods)
        {
            var targets = pods.Select(pod => (Socket: FrameSocket.Open(null, pod.Interface), Frame: TcpFrames.Of(new(IPAddress.Parse("172.16.0.1"), 1), new(pod.Address, 80), flags: 0x02))).ToList();
            for (uint number = 0; !_stop; number++)
            {
                var (socket, frame) = targets[(int)(number % targets.Count)];
                // The sender's address and port.
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(28), (ushort)(number >> 16));
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), (ushort)number);
                if (socket.TrySend(frame))
                {
                    Interlocked.Increment(ref _sent);
                }
            }
            targets.ForEach(target => target.Socket.Dispose());
        }
    }
}
