using Exporter.Bpf;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The memory of the flow table, from one process to the next.</summary>
public sealed class FlowSlotsTests
{
    private static readonly UInt128 Epoch = new(5, 6);

    private readonly KeptMemory _memory = new();

    [Fact]
    public void A_larger_table_takes_over_all_flows_and_the_smaller_one_is_removed()
    {
        Store(capacity: 4, flows: 4);

        using var slots = Open(capacity: 40, committed: 1, now: 100);
        var table = new FlowTable(slots, 1);
        Assert.Equal((4, 0L, FlowMap.Epoch), (table.Count, table.Forgotten, table.CountedSince));
        Assert.Equal((true, FlowOrientation.Remembered), See(table, interval: 2, port: 3) is var sight ? (sight.IsLocalSource, sight.Orientation) : default);
        Assert.Equal([FlowSlots.LayoutOf(40).Text], _memory.Layouts.Select(layout => layout.Text));
    }

    [Fact]
    public void A_smaller_table_takes_over_what_it_has_room_for_and_counts_the_rest()
    {
        Store(capacity: 40, flows: 40);

        using var slots = Open(capacity: 30, committed: 1, now: 100);
        var table = new FlowTable(slots, 1);
        Assert.Equal((30, 10L), (table.Count, table.Forgotten));
        Assert.Equal((30, 0L), new FlowTable(slots, 1) is var next ? (next.Count, next.Forgotten) : default);
    }

    /// <summary>They may be among those that had no room.</summary>
    [Fact]
    public void Flows_that_a_smaller_table_did_not_take_over_have_not_begun_when_they_go_on()
    {
        Store(capacity: 40, flows: 40);

        using var slots = Open(capacity: 30, committed: 1, now: 100);
        var table = new FlowTable(slots, 1);
        table.Begin(2);
        Assert.All(Enumerable.Range(1, 40), port => Assert.Equal(0u, Count(table, (ushort)port, at: 20).Connections));
    }

    [Fact]
    public void A_process_that_is_killed_while_it_takes_over_leaves_it_to_the_next()
    {
        Store(capacity: 4, flows: 4);
        KeptMemory? killed = null;
        var accesses = 12;
        _memory.OnAccess = () => killed = --accesses == 0 ? _memory.Copy() : killed;
        Open(capacity: 8, committed: 1, now: 100).Dispose();
        _memory.OnAccess = null;

        using var slots = FlowSlots.Open(killed!, 8, Epoch, 1, FlowMap.TimeOf(200));
        Assert.Equal((4, FlowMap.Epoch), (new FlowTable(slots, 1).Count, slots.CountedSince));
        Assert.Single(killed!.Layouts);
    }

    [Fact]
    public void Flows_of_another_ledger_are_not_taken()
    {
        Store(capacity: 4, flows: 4);

        using var slots = FlowSlots.Open(_memory, 4, Epoch + 1, committed: 1, FlowMap.TimeOf(100));
        Assert.Equal((0, FlowMap.TimeOf(100)), (new FlowTable(slots, 1).Count, slots.CountedSince));
        using var others = FlowSlots.Open(_memory, 8, Epoch, committed: 1, FlowMap.TimeOf(200));
        Assert.Equal((0, FlowMap.TimeOf(200)), (new FlowTable(others, 1).Count, others.CountedSince));
    }

    [Fact]
    public void A_table_of_slots_of_another_kind_is_removed()
    {
        var other = new MapLayout("slots=4", ["interval", "another"]);
        _memory.Create(other, 0, 2).Bytes.Fill(1);

        using var slots = Open(capacity: 4, committed: 1, now: 100);
        Assert.Equal(0, new FlowTable(slots, 1).Count);
        Assert.Equal([FlowSlots.LayoutOf(4).Text], _memory.Layouts.Select(layout => layout.Text));
    }

    [Fact]
    public void A_process_without_flows_removes_the_table()
    {
        Store(capacity: 4, flows: 1);

        FlowSlots.Remove(_memory);
        Assert.Empty(_memory.Layouts);
    }

    [Fact]
    public void Known_flows_are_taken_up_and_swept_without_an_allocation()
    {
        using var slots = FlowSlots.Open(new OwnMemory(), 4096, Epoch, 0, FlowMap.Epoch);
        var table = new FlowTable(slots, 0);
        var map = new FlowMap();
        for (ushort port = 1; port <= 1000; port++)
        {
            map.Count(FlowMap.KeyOf(6, port, 443), isFromPod: true, at: 1, "A", retransmits: 3);
            map.Count(FlowMap.KeyOf(17, port, 53), isFromPod: false, at: 1);
        }
        var rows = map.Rows;
        var said = 0;
        TakeUp(1);
        var before = GC.GetAllocatedBytesForCurrentThread();
        TakeUp(2);

        // A delegate and its closure.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 512);
        Assert.Equal(0, said);

        void TakeUp(ulong interval)
        {
            var clock = FlowMap.ClockOf(interval);
            table.Begin(interval);
            foreach (ref readonly var row in rows.AsSpan())
            {
                table.See(row.Key, row.Value, 1, FlowMap.Epoch, clock, static _ => (true, FlowOrientation.Port));
            }
            table.Sweep(clock, (_, _, _) => said++);
            table.End();
        }
    }

    [Fact]
    public void An_interval_that_was_not_committed_is_taken_up_again_by_the_same_process()
    {
        using var slots = Open(capacity: 4, committed: 0, now: 0);
        var table = new FlowTable(slots, 0);
        table.Begin(1);
        Count(table, port: 1, at: 1);
        table.Begin(2);

        Assert.Equal(1u, Count(table, port: 1, at: 1).Connections);
    }

    /// <summary>Also by a process that finds the flows.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_interface_that_floods_leaves_the_others_their_shares(bool isFound)
    {
        var limits = new FlowLimits(new(IsOn: true, TimeSpan.FromSeconds(10), MaxFlows: 64, MaxFlowsPerPod: 25, Sampling: 1), maxInterfaces: 16) { Interfaces = 4 };
        using var slots = Open(capacity: 64, committed: 0, now: 0);
        var table = new FlowTable(slots, 0, limits);
        table.Begin(1);
        for (ushort port = 1; port <= 100; port++)
        {
            Count(table, port, at: 1, generation: 1 + (port % 3));
        }
        table.End();
        Assert.True(table.Forgotten > 50);
        table = isFound ? new(slots, 1, limits) : table;
        table.Begin(2);
        for (ushort port = 101; port <= 104; port++)
        {
            Count(table, port, at: 2, generation: 9);
        }
        table.End();

        table.Begin(3);
        Assert.All(Enumerable.Range(101, 4), port => Assert.Equal(0u, Count(table, (ushort)port, at: 3, generation: 9).Connections));
    }

    private static FlowSight See(FlowTable table, ulong interval, ushort port)
    {
        table.Begin(interval);
        return Count(table, port, at: interval);
    }

    private static FlowSight Count(FlowTable table, ushort port, double at, long generation = 1)
    {
        var map = new FlowMap();
        map.Count(FlowMap.KeyOf(17, port, 53), isFromPod: true, at);
        return table.See(map.Rows[0].Key, map.Rows[0].Value, generation, FlowMap.Epoch, FlowMap.ClockOf(at), static _ => (false, FlowOrientation.Port));
    }

    private FlowSlots Open(int capacity, ulong committed, double now) => FlowSlots.Open(_memory, capacity, Epoch, committed, FlowMap.TimeOf(now));

    private void Store(int capacity, int flows)
    {
        using var slots = Open(capacity, committed: 0, now: 0);
        var table = new FlowTable(slots, 0);
        table.Begin(1);
        for (ushort port = 1; port <= flows; port++)
        {
            Count(table, port, at: 1);
        }
        table.End();
    }
}
