using CsCheck;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.State;

namespace Exporter.Tests;

/// <summary>Keys are read by the next process as this one has written them, and two that differ are written otherwise.</summary>
public sealed class RecordKeysTests
{
    private static readonly Gen<string> Text = Gen.OneOf(Gen.Const(""), Gen.String[Gen.Char.AlphaNumeric, 0, 20], Gen.String[Gen.OneOf(Gen.Char['a', 'z'], Gen.Char['\u00e4', '\u0fff']), 0, 253]);
    private static readonly Gen<string[]> Texts = Text.Array[0, 6];

    private static readonly Gen<GroupKey> Groups =
        from level in Gen.Enum<SeriesLevel>()
        from names in Texts
        from room in Gen.Enum<GroupRoom>()
        from totals in Gen.OneOf(Gen.Const((string[]?)null), Texts.Select(texts => (string[]?)texts))
        from isHost in Gen.Bool
        from labels in Texts
        select new GroupKey(level, names, room, totals, isHost, new(labels));

    private static readonly Gen<Link> Links =
        from ifindex in Gen.Int[1, int.MaxValue]
        from name in Text
        from kind in Text
        from address in Gen.ULong
        from peer in Gen.Int[0, int.MaxValue]
        from ns in Gen.Int[-1, 1000]
        select new Link(ifindex, name, kind, address, peer, ns < 0 ? null : ns);

    private static readonly Gen<InterfaceKey> Interfaces =
        from generation in Gen.Long[1, long.MaxValue]
        from link in Links
        from seenAt in Gen.Long[0, DateTime.MaxValue.Ticks]
        from network in Gen.ULong
        from names in Texts
        from identity in Gen.Select(Text, Text, Texts, Gen.Bool, (ns, name, labels, isExcluded) => new PodIdentity(ns, name, new(labels), isExcluded))
        from pod in Gen.Select(Text, Text, Gen.Bool, (workload, kind, isWithout) => identity with { Workload = workload, WorkloadKind = kind, IsWithoutFlows = isWithout })
        from isKnown in Gen.Bool
        from birth in Gen.ULong
        from uncounted in Gen.Select(Gen.ULong, Gen.ULong, Gen.Int[0, 3], (one, other, known) => new UncountedPackets((known & 1) == 0 ? null : one, (known & 2) == 0 ? null : other))
        from bornAfter in Gen.OneOf(Gen.Const((long?)null), Gen.Long[1, DateTime.MaxValue.Ticks].Select(ticks => (long?)ticks))
        select new InterfaceKey(generation, link, new(seenAt, TimeSpan.Zero), network, isKnown ? names : [], isKnown ? pod : null)
        {
            Birth = birth,
            Uncounted = uncounted,
            BornAfter = bornAfter is { } ticks ? new(ticks, TimeSpan.Zero) : null,
        };

    [Fact]
    public void The_key_of_a_group_is_read_as_it_was_written() =>
        Groups.Sample(key =>
        {
            var read = GroupKey.Read(key.Write());
            Assert.Equal(key.LabelNames, read.LabelNames);
            Assert.Equal(key.Totals, read.Totals);
            Assert.Equal(key, read with { LabelNames = key.LabelNames, Totals = key.Totals });
        });

    [Fact]
    public void Groups_that_differ_have_different_keys() =>
        Gen.Select(Groups, Groups).Sample((one, other) =>
        {
            var isSame = one.LabelNames.SequenceEqual(other.LabelNames)
                && (one.Totals is null ? other.Totals is null : other.Totals is not null && one.Totals.SequenceEqual(other.Totals))
                && one == other with { LabelNames = one.LabelNames, Totals = one.Totals };
            Assert.Equal(isSame, one.Write().SequenceEqual(other.Write()));
        });

    /// <summary>What runs together in one text does not in another.</summary>
    [Fact]
    public void Values_that_are_divided_otherwise_are_another_key()
    {
        GroupKey Key(string[] names, params string[] values) => new(SeriesLevel.Pod, names, GroupRoom.Pods, ["traffic"], false, new(values));

        byte[][] keys = [Key(["a"], "bc").Write(), Key(["a"], "b", "c").Write(), Key(["a", "b"], "c").Write(), Key(["ab"], "c").Write(), Key([], "a", "bc").Write()];

        Assert.Equal(keys.Length, keys.Select(Convert.ToHexString).Distinct().Count());
    }

    [Fact]
    public void The_key_of_an_interface_is_read_as_it_was_written() =>
        Interfaces.Sample(key =>
        {
            var read = InterfaceKey.Read(key.Write());
            Assert.Equal(key.LabelNames, read.LabelNames);
            Assert.Equal(key, read with { LabelNames = key.LabelNames });
            Assert.Equal((key.Pod?.Workload, key.Pod?.WorkloadKind, key.Pod?.IsWithoutFlows), (read.Pod?.Workload, read.Pod?.WorkloadKind, read.Pod?.IsWithoutFlows));
        });

    /// <summary>Each has added fields at the end; an earlier version reads no further in one of now.</summary>
    [Fact]
    public void The_key_of_an_interface_that_an_earlier_version_has_written_is_read_as_far_as_it_goes() =>
        Interfaces.Sample(key =>
        {
            const int Optional = sizeof(bool) + sizeof(ulong);
            var written = key.Write();
            var workload = RecordKey.Write(writer =>
            {
                writer.Write(key.Pod?.Workload == key.Pod?.Name ? "\u0002" : key.Pod?.Workload ?? "");
                writer.Write(key.Pod?.WorkloadKind ?? "");
                writer.Write(true);
            });
            written = written[..^workload.Length];
            Assert.Equal(key, InterfaceKey.Read(written) with { LabelNames = key.LabelNames });

            var withoutBornAfter = InterfaceKey.Read(written[..^Optional]);
            var first = InterfaceKey.Read(written[..^(sizeof(ulong) + (3 * Optional))]);

            Assert.Equal(key with { BornAfter = null }, withoutBornAfter with { LabelNames = key.LabelNames });
            Assert.Equal(key with { BornAfter = null, Birth = 0, Uncounted = default }, first with { LabelNames = key.LabelNames });
        });

    [Fact]
    public void A_signal_and_a_number_are_read_as_they_were_written() =>
        Gen.Select(Gen.String.AlphaNumeric, Gen.ULong).Sample((signal, number) =>
        {
            var key = RecordKey.Of(signal, number);
            Assert.Equal((signal, number), (RecordKey.ReadSignal(key), RecordKey.ReadNumber(key)));
        });

    /// <summary>Kubernetes' namespaces have up to 63 characters, its pods' names up to 253.</summary>
    [Fact]
    public void A_pod_with_the_longest_names_has_room_in_a_record()
    {
        var (ns, name) = (new string('x', 63), new string('y', 253));
        string[] names = ["namespace", "pod"];

        Assert.InRange(new GroupKey(SeriesLevel.Pod, names, GroupRoom.Pods, ["traffic", "handshakes"], false, new(ns, name)).Write().Length, 1, Ledger.KeyRoom);
        var key = new InterfaceKey(1, new(1, "veth123456789ab", "netkit", 1, 2, 3), default, 1, names, new(ns, name, new(ns, name))).Write();
        Assert.InRange(key.Length, 1, Ledger.KeyRoom);
        Assert.Equal([ns, name], InterfaceKey.Read(key).Pod!.Labels.Values);
    }
}
