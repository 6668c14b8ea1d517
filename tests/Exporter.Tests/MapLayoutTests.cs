using System.Runtime.InteropServices;
using CsCheck;
using Exporter.Bpf;
using Exporter.Signals.Flows;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Signals.Uplinks;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Counters have names, by which the next version of the program finds them.</summary>
public sealed class MapLayoutTests
{
    [Fact]
    public void A_layout_is_read_as_it_was_written()
    {
        foreach (var layout in (MapLayout[])[Ledger.Layout, TrafficValue.Fields.Layout, new("bounds=1,2;interfaces=3", HandshakeValue.Fields.Names)])
        {
            var read = MapLayout.Parse(layout.Text);
            Assert.Equal((layout.Settings, layout.Digest), (read.Settings, read.Digest));
            Assert.Equal(layout.Counters, read.Counters);
        }
    }

    [Fact]
    public void Layouts_that_differ_have_different_digests()
    {
        MapLayout[] layouts = [new("a", ["x", "y"]), new("b", ["x", "y"]), new("a", ["y", "x"]), new("a", ["x"]), new("a", ["x", "y", "z"]), new("", ["x", "y"])];

        Assert.Equal(layouts.Length, layouts.Select(layout => layout.Digest).Distinct().Count());
    }

    [Fact]
    public void Where_the_counters_are_the_same_there_is_nothing_to_find() =>
        Assert.Null(new MapLayout("a", ["x", "y"]).Find(new("b", ["x", "y"])));

    [Fact]
    public void Each_counter_is_found_by_its_name()
    {
        var layout = new MapLayout("", ["x", "y", "z"]);

        Assert.Equal([2, 1, 0], layout.Find(new("", ["z", "y", "x"]))!);
        Assert.Equal([1, -1, 0], layout.Find(new("", ["z", "x"]))!);
        Assert.Equal([0, 2, 4], layout.Find(new("", ["x", "a", "y", "b", "z"]))!);
        Assert.Equal([-1, -1, -1], layout.Find(new("", ["a"]))!);
    }

    [Fact]
    public void There_are_as_many_names_as_counters_and_no_two_are_the_same()
    {
        Assert.Equal(Marshal.SizeOf<TrafficValue>() / sizeof(ulong), TrafficValue.Fields.Count);
        Assert.Equal(Marshal.SizeOf<HandshakeValue>() / sizeof(ulong), HandshakeValue.Fields.Count);
        Assert.Equal(Marshal.SizeOf<UplinkRow>() / sizeof(ulong), UplinkRow.Fields.Count);
        Assert.All(EverySignal.Rows, signal => Assert.Equal(signal.Count, signal.Names.Distinct().Count()));
    }

    /// <summary>A record says by the options of its process which share of the flows was counted. Maps from before the option had another value than 1 are found again.</summary>
    [Fact]
    public void Flows_that_are_sampled_otherwise_are_counted_into_other_maps()
    {
        Assert.Equal(3, ((int[])[1, 2, 100]).Select(sampling => Plan(sampling).Layout.Digest).Distinct().Count());
        Assert.Equal(Plan(100).Layout.Text, Plan(100).Layout.Text);
        Assert.Equal("flows=64,interfaces=16", Plan(1).Layout.Settings);

        static MapSetPlan Plan(int sampling) => LoadedFlows.Plan(new(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 64, MaxFlowsPerPod: 25, sampling), maxInterfaces: 16)!;
    }

    [Fact]
    public void The_names_are_free_of_what_divides_them() =>
        Assert.DoesNotContain(EverySignal.Rows.SelectMany(signal => signal.Names), name => name.AsSpan().IndexOfAny(",|\n") >= 0);

    [Fact]
    public void Each_counter_of_traffic_has_its_name()
    {
        foreach (var transport in Enum.GetValues<Transport>())
        {
            var name = transport.ToString().ToLowerInvariant();
            AssertNames(Counted.Sent(1, 2, 3, transport), ($"transmit.{name}.packets", 1), ($"transmit.{name}.bytes", 2), ($"transmit.{name}.segments", 3));
            AssertNames(Counted.Delivered(1, 2, 3, transport), ($"receive.{name}.packets", 1), ($"receive.{name}.bytes", 2), ($"receive.{name}.segments", 3));
        }
        string[] ranges = ["64", "128", "256", "512", "1024", "1518", "9018", "larger"];
        for (var range = 0; range < ranges.Length; range++)
        {
            TrafficDirection direction = default;
            direction.Sizes[range] = new(1, 2);
            AssertNames(new TrafficValue { Transmit = direction }, ($"transmit.{ranges[range]}.segments", 1), ($"transmit.{ranges[range]}.bytes", 2));
            AssertNames(new TrafficValue { Receive = direction }, ($"receive.{ranges[range]}.segments", 1), ($"receive.{ranges[range]}.bytes", 2));
        }
    }

    [Fact]
    public void Each_counter_of_handshakes_has_its_name()
    {
        for (var range = 0; range < 32; range++)
        {
            HandshakeRole role = default;
            role.Durations[range] = new(1, 2);
            AssertNames(role, ($"{range}.count", 1), ($"{range}.ns", 2));
        }
        foreach (var reason in Enum.GetValues<HandshakeFailure>())
        {
            AssertNames(Counted.Failed(reason, 7), (reason.ToString().ToLowerInvariant(), 7));
        }
        AssertNames(Counted.Resent(7), ("resent", 7));
    }

    /// <summary>They are in pinned memory, which the next version reads. Another digest is right where a counter was added; another name loses what was counted.</summary>
    [Fact]
    public void Names_stay_as_they_are() => Assert.Equal(16764040445597295406ul, Ledger.Layout.Digest);

    [Fact]
    public void But_for_flows_and_edges_the_layout_is_that_of_the_ledgers_before() => Assert.Equal(6741714390139751474ul, Ledger.LayoutOf([.. FirstSignals, UplinkRow.Fields]).Digest);

    [Fact]
    public void But_for_uplinks_the_layout_is_that_of_the_ledgers_before() => Assert.Equal(14490835445061395968ul, Ledger.LayoutOf(FirstSignals).Digest);

    [Fact]
    public void But_for_the_keys_it_is_that_of_the_first_ledger_with_tables() => Assert.Equal(13404172556392391729ul, (Ledger.LayoutOf(FirstSignals) with { Settings = "keys=2" }).Digest);

    [Fact]
    public void The_names_are_those_of_the_ledgers_before() => Assert.Equal(17775304965122887230ul, new MapLayout("keys=1", Names).Digest);

    [Fact]
    public void But_for_half_open_handshakes_the_names_are_those_of_the_first_ledgers() => Assert.Equal(
        5353065590777004894ul,
        new MapLayout("keys=1", [.. Names.Where(name => !name.EndsWith(".halfopen", StringComparison.Ordinal))]).Digest);

    /// <summary>The signals that the first ledgers have counts of, all of them in one row.</summary>
    private static RowFields[] FirstSignals => [TrafficValue.Fields, HandshakeValue.Fields];

    private static string[] Names => [.. FirstSignals.SelectMany(signal => signal.Names)];

    private static void AssertNames(HandshakeRole role, params (string Name, ulong Value)[] expected)
    {
        AssertNames<HandshakeValue>(new() { Client = role }, HandshakeValue.Fields.Names, [.. expected.Select(counter => ($"client.{counter.Name}", counter.Value))]);
        AssertNames<HandshakeValue>(new() { Server = role }, HandshakeValue.Fields.Names, [.. expected.Select(counter => ($"server.{counter.Name}", counter.Value))]);
    }

    private static void AssertNames(TrafficValue traffic, params (string, ulong)[] expected) => AssertNames(traffic, TrafficValue.Fields.Names, expected);

    private static void AssertNames<T>(T value, IReadOnlyList<string> names, (string, ulong)[] expected)
        where T : unmanaged =>
        Assert.Equal(expected, names.Zip(MemoryMarshal.Cast<T, ulong>([value]).ToArray()).Where(counter => counter.Second != 0));
}
