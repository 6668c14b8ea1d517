using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>The node drops packets between two of its pods: the records of the two ends differ by them.</summary>
public sealed class FlowLossTests(FlowLives lives) : IClassFixture<FlowLives>
{
    private const int EthernetLength = 14;

    [Theory]
    [InlineData("tcp")]
    [InlineData("udp")]
    public async Task The_records_of_two_pods_of_a_node_differ_by_the_packets_that_were_dropped_between_them(string transport)
    {
        using var server = transport == "tcp" ? lives.Other.Listen() : OpenDatagrams(lives.Other);
        using var rule = new LossRule($"ip daddr {lives.Other.Address} {transport} dport {server.Port()}");
        var destination = new IPEndPoint(lives.Other.Address, server.Port());
        var source = transport == "tcp" ? Transfer(server, destination) : Send(destination);
        // An end of TCP sends no more after its RST.
        var (dropped, bytes) = LossRule.Count();
        await lives.Node.AssertExactAsync(lives.Exporter, lives.One, lives.Other);

        var own = FindRecords(lives.One);
        var others = FindRecords(lives.Other);

        Assert.True(dropped > 5, $"only {dropped} packets were dropped");
        Assert.Equal(dropped, Difference("source.packets"));
        Assert.Equal(bytes + (EthernetLength * dropped), Difference("source.bytes"));
        Assert.Equal((0, 0), (Difference("destination.packets"), Difference("destination.bytes")));

        List<FlowLine> FindRecords(Pod pod) => [.. lives.Node.Records.Flows.Where(flow => flow.Interface == pod.Interface && flow.Tuple == FlowLife.TupleOf(transport, source, destination))];

        long Difference(string path) => own.Sum(record => record.Number(path)) - others.Sum(record => record.Number(path));
    }

    private IPEndPoint Transfer(Socket listener, IPEndPoint to)
    {
        using var connection = Connection.Open(lives.One, new(lives.One.Address, 0), listener, to);
        connection.Send(1 << 21);
        connection.Answer(1 << 16);
        connection.Client.WithReset().Close();
        return connection.ClientEnd;
    }

    private IPEndPoint Send(IPEndPoint to)
    {
        using var sender = OpenDatagrams(lives.One);
        for (var length = 100; length < 1100; length++)
        {
            sender.SendTo(new byte[length], to);
        }
        return (IPEndPoint)sender.LocalEndPoint!;
    }

    private static Socket OpenDatagrams(Pod pod)
    {
        var socket = pod.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(pod.Address, 0));
        return socket;
    }

    /// <summary>Drops each seventh of the forwarded packets that match, and counts them.</summary>
    private sealed class LossRule : IDisposable
    {
        private const string Table = "pnt_loss";

        internal LossRule(string match) => Shell.Run(
            "nft",
            $$"""
            table ip {{Table}} {
                counter dropped { }
                chain forward { type filter hook forward priority filter; {{match}} numgen inc mod 7 3 counter name dropped drop; }
            }
            """);

        internal static (long Packets, long Bytes) Count()
        {
            using var json = JsonDocument.Parse(Shell.Run("nft", "-j", "list", "counter", "ip", Table, "dropped"));
            var counter = json.RootElement.GetProperty("nftables").EnumerateArray().Single(item => item.TryGetProperty("counter", out _)).GetProperty("counter");
            return (counter.GetProperty("packets").GetInt64(), counter.GetProperty("bytes").GetInt64());
        }

        public void Dispose() => Shell.Run("nft", "delete", "table", "ip", Table);
    }
}
