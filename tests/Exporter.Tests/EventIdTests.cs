using System.IO.Hashing;
using CsCheck;
using Exporter.Records;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Ids of records: a repeat by a later process, or a later version, has the same one.</summary>
public sealed class EventIdTests
{
    private static readonly RecordContext Context = SampleRecords.Context;

    private static readonly FlowTuple Tuple = new(IpProtocol.Tcp, FlowAddress.Parse("10.0.0.14"), 45717, FlowAddress.Parse("10.96.0.5"), 5432);

    private static readonly RecordEnd[] Ends =
    [
        new() { Namespace = "a", Pod = "b" },
        new() { Namespace = "ab" },
        new() { Pod = "ab" },
        new() { Namespace = "a", Workload = "b" },
    ];

    /// <summary>A change here makes repeats of records new ones.</summary>
    [Fact]
    public void Ids_are_the_ones_that_earlier_versions_made()
    {
        EventId[] ids =
        [
            EventId.OfFlow(Context, 12, Tuple),
            EventId.OfFlow(Salted([1, 2, 3]), 12, Tuple),
            EventId.OfFlows(Context, 12, FlowGroup.Workload, default(FlowTuple) with { Protocol = IpProtocol.Udp }, Ends[0], Ends[1]),
            EventId.OfRest(Context, 12, RestDirection.Transmit, RestReason.MapFull),
            EventId.OfInterval(Context, "kafka"),
            EventId.OfIdentity(Context, Tuple.Local, Context.Timestamp),
        ];

        Assert.Equal(
            [
                "RpfRn87EzVwXmo0sfPswDQ",
                "jYvHe-8utRGsa6bdD8TWTw",
                "yXQS5Pk23JpepHkAAi-pAg",
                "POmBP5dxwahuOyBUaH3LeA",
                "kurUA12F4brCOHO5Tw6awg",
                "jMFXMHJMXroGuIl7Hr-Qzg",
            ],
            ids.Select(id => id.ToString()));
    }

    [Fact]
    public void An_id_is_the_hash_of_its_parts()
    {
        var bytes = Convert.FromHexString(
            "909192939495969798999a9b9c9d9e9f" + "000000000000001f" + "01" // epoch, interval, dataset
            + "000000000000000c" + "00" + "06" // generation, group, protocol
            + "01" + "0a00000e000000000000000000000000" + "b295" // local end
            + "01" + "0a600005000000000000000000000000" + "1538" // remote end
            + new string('0', 64)); // no names

        Assert.Equal(XxHash128.HashToUInt128(bytes), EventId.OfFlow(Context, 12, Tuple).Value);
    }

    [Fact]
    public void Flows_have_the_same_id_if_all_parts_are_the_same() =>
        Gen.Select(Flow, Flow).Sample((one, other) => Assert.Equal(one.Parts == other.Parts, one.Id == other.Id), iter: 20_000);

    [Fact]
    public void Groups_of_other_names_have_other_ids()
    {
        var ids = from local in Ends from remote in Ends select EventId.OfFlows(Context, 1, FlowGroup.Workload, default, local, remote);

        Assert.Distinct(ids);
    }

    [Fact]
    public void All_records_of_an_interval_have_other_ids()
    {
        var ids = new List<EventId>();
        for (var generation = 1; generation <= 20; generation++)
        {
            foreach (var reason in Enum.GetValues<RestReason>())
            {
                ids.Add(EventId.OfRest(Context, generation, RestDirection.Transmit, reason));
                ids.Add(EventId.OfRest(Context, generation, RestDirection.Receive, reason));
            }
            foreach (var group in Enum.GetValues<FlowGroup>())
            {
                ids.Add(EventId.OfFlows(Context, generation, group, Tuple, null, null));
            }
            var address = FlowAddress.From([10, 0, 0, (byte)generation], isIpv6: false);
            ids.Add(EventId.OfIdentity(Context, address, Context.Timestamp));
            ids.Add(EventId.OfIdentity(Context, address, Context.Timestamp.AddMilliseconds(1)));
        }
        ids.AddRange(((string[])["", "kafka", "file", "stdout", "elasticsearch"]).Select(sink => EventId.OfInterval(Context, sink)));

        Assert.Distinct(ids);
    }

    [Fact]
    public void Another_epoch_or_interval_has_other_ids()
    {
        var later = Context with { Interval = Context.Interval + 1 };
        var reborn = Context with { Observer = new(new byte[RecordObserver.EpochLength], SampleRecords.Node, "prod") };

        Assert.Distinct(((RecordContext[])[Context, later, reborn]).Select(context => EventId.OfFlow(context, 12, Tuple)));
        Assert.Distinct(((RecordContext[])[Context, later, reborn]).Select(context => EventId.OfInterval(context, "kafka")));
    }

    [Fact]
    public void Another_secret_has_other_ids() =>
        Assert.Distinct(((RecordContext[])[Context, Salted([1]), Salted([2])]).Select(context => EventId.OfFlow(context, 12, Tuple)));

    [Fact]
    public void The_time_of_an_identity_counts_as_it_is_written() =>
        Assert.Equal(EventId.OfIdentity(Context, Tuple.Local, Context.Timestamp), EventId.OfIdentity(Context, Tuple.Local, Context.Timestamp.AddTicks(1)));

    [Fact]
    public void An_epoch_of_another_length_is_refused() =>
        Assert.Contains("16 bytes, this one 15", Assert.Throws<ArgumentException>(() => new RecordObserver(new byte[15], "node-0", "")).Message, StringComparison.Ordinal);

    [Fact]
    public void Making_an_id_allocates_nothing()
    {
        var salted = Salted([1, 2, 3]);
        Make();

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            Make();
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Make()
        {
            _ = EventId.OfFlow(Context, 12, Tuple);
            _ = EventId.OfFlow(salted, 12, Tuple);
            _ = EventId.OfFlows(Context, 12, FlowGroup.Workload, Tuple, Ends[0], Ends[1]);
        }
    }

    private static Gen<((long, FlowGroup, FlowTuple) Parts, EventId Id)> Flow =>
        Gen.Select(Gen.Long[0, 1], Gen.Int[0, 1], Gen.Byte[0, 1], Address, Gen.UShort[0, 1], Address, Gen.UShort[0, 1])
            .Select((generation, group, protocol, local, localPort, remote, remotePort) =>
            {
                var tuple = new FlowTuple(protocol, local, localPort, remote, remotePort);
                return ((generation, (FlowGroup)group, tuple), EventId.OfFlows(Context, generation, (FlowGroup)group, tuple, null, null));
            });

    /// <summary>No address, and two whose bytes begin alike.</summary>
    private static Gen<FlowAddress> Address => Gen.Int[0, 2].Select(i => ((FlowAddress[])[default, FlowAddress.Parse("0.0.0.0"), FlowAddress.Parse("::")])[i]);

    private static RecordContext Salted(byte[] salt) =>
        Context with { Observer = new([.. Enumerable.Range(0x90, RecordObserver.EpochLength).Select(value => (byte)value)], SampleRecords.Node, "prod") { Salt = salt } };
}
