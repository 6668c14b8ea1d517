using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Objects;
using Exporter.Signals.Uplinks;

namespace Exporter.Kernel.Tests;

/// <summary>
/// The programs of uplinks on made-up frames: whatever these are, they pass unchanged, and are counted once in the class that an independent parser finds.
/// PODNET_FUZZ_SEED repeats a failed run, PODNET_UPLINK_RUNS makes more of them.
/// </summary>
public sealed class UplinkProgramTests : IDisposable
{
    private const int Loopback = 1;
    private const int Room = 4096;

    private static readonly int Runs = EnvironmentNumber.Read("PODNET_UPLINK_RUNS") ?? 20_000;

    private readonly BpfObject _object = BpfObject.OpenEmbedded("uplink");
    private readonly PerCpuRows _values;
    private readonly ArrayMap<UplinkSlots> _slots;
    private readonly ulong[] _before = new ulong[UplinkValue.Fields.Count];
    private readonly ulong[] _after = new ulong[UplinkValue.Fields.Count];

    public UplinkProgramTests()
    {
        _object.Load();
        _values = new(_object.Map("uplinks"), UplinkValue.Fields.Layout, UplinkValue.Fields);
        _slots = new(_object.Map("uplink_slots"));
    }

    /// <summary>Each program, what lets a frame pass, and the index of its values in the first slot.</summary>
    public static TheoryData<string, int, int> Programs => new()
    {
        { "podnet_uplink_xdp", ProgramTrial.XdpPass, 0 }, { "podnet_uplink_frags", ProgramTrial.XdpPass, 0 }, { "podnet_uplink_in", ProgramTrial.TcNext, 0 }, { "podnet_uplink_out", ProgramTrial.TcNext, 1 },
    };

    public void Dispose() => _object.Dispose();

    [Theory]
    [MemberData(nameof(Programs))]
    public void Frames_that_are_made_for_a_class_are_in_it(string name, int verdict, int index)
    {
        var program = Count(name);
        Assert.Equal(Enum.GetValues<UplinkClass>(), UplinkFrames.All.Select(made => made.Class).Distinct().Order());
        foreach (var (frame, one) in UplinkFrames.All.Where(made => !RandomFrames.IsRefused(made.Frame)))
        {
            Assert.Equal(one, UplinkReference.ClassOf(frame));
            Run(program, frame, one, verdict, index);
        }
    }

    [Theory]
    [MemberData(nameof(Programs))]
    public void Random_frames_pass_unchanged_and_are_counted_once(string name, int verdict, int index)
    {
        var program = Count(name);
        var seen = new int[Enum.GetValues<UplinkClass>().Length];
        FrameFuzz.Run(Runs, TimeSpan.MaxValue, Draw, (frame, one) =>
        {
            Run(program, frame, one, verdict, index);
            seen[(int)one]++;
        });
        Assert.All([UplinkClass.TcpIllegal, UplinkClass.Udp, UplinkClass.Icmp, UplinkClass.Fragment, UplinkClass.OtherIp, UplinkClass.Arp, UplinkClass.Other], one => Assert.True(seen[(int)one] > 0, $"{one}"));
    }

    [Fact]
    public void Only_the_program_that_is_to_count_received_frames_does()
    {
        var frame = Packet.Ethernet().Ipv4().Udp().ToArray();
        foreach (var (byXdp, counts, other) in (IEnumerable<(bool, string, string)>)[(true, "podnet_uplink_xdp", "podnet_uplink_in"), (false, "podnet_uplink_in", "podnet_uplink_xdp")])
        {
            Publish(Loopback, byXdp);
            _values.Read(0, _before);
            _object.Program(other).TestRun(frame);
            _values.Read(0, _after);
            Assert.Equal(_before, _after);
            _object.Program(counts).TestRun(frame);
            _values.Read(0, _after);
            Assert.NotEqual(_before, _after);
        }
    }

    [Theory]
    [MemberData(nameof(Programs))]
    public void An_interface_without_a_slot_is_not_counted(string name, int verdict, int index)
    {
        Publish(Loopback + 1, byXdp: verdict == ProgramTrial.XdpPass);
        Assert.Equal(verdict, _object.Program(name).TestRun(Packet.Ethernet().Ipv4().Udp().ToArray()).ReturnValue);
        _values.Read(index, _after);
        Assert.DoesNotContain(_after, count => count != 0);
    }

    /// <summary>Frames that the stack has merged, or an interface is to cut, are as many as the wire has.</summary>
    [Theory]
    [InlineData(1000, 3, 3 * 1000, 3)]
    [InlineData(1000, 3, 2500, 3)]
    [InlineData(1400, 0, 2 * 1400, 2)]
    public void A_merged_frame_counts_as_its_segments(int size, int segments, int payload, ulong frames)
    {
        const int Headers = 14 + 20 + 20;
        Publish(Loopback, byXdp: false);
        var frame = Packet.Ethernet().Ipv4().Tcp().Set(-7, 0x10).Bytes(payload).ToArray();

        _object.Program("podnet_uplink_in").TestRun(frame, new SkbContext(Loopback, size, segments).ToArray());

        _values.Read(0, _after);
        var value = RowFields.ValueOf<UplinkValue>(_after);
        Assert.Equal(new(frames, (ulong)payload + (frames * Headers)), value.Classes[(int)UplinkClass.TcpOther]);
        UplinkCount sizes = default;
        foreach (var range in (ReadOnlySpan<UplinkCount>)value.Sizes)
        {
            sizes = new(sizes.Packets + range.Packets, sizes.Bytes + range.Bytes);
        }
        Assert.Equal(value.Classes[(int)UplinkClass.TcpOther], sizes);
    }

    /// <summary>XDP and TC on a real interface see no shorter frames.</summary>
    private static (byte[] Frame, UplinkClass Class) Draw(Random random, int run)
    {
        var frame = (run % 3) switch { 0 => RandomFrames.Bytes(random), 1 => RandomFrames.Headers(random), _ => RandomFrames.Mutated(random) };
        return (frame, UplinkReference.ClassOf(frame));
    }

    private BpfProgram Count(string name)
    {
        Publish(Loopback, byXdp: !name.EndsWith("_in", StringComparison.Ordinal));
        return _object.Program(name);
    }

    private void Publish(int ifindex, bool byXdp)
    {
        UplinkSlots slots = default;
        (slots.Ifindex[0], slots.ByXdp[0]) = ((uint)ifindex, byXdp ? 1u : 0);
        _slots.Write(0, slots);
    }

    private void Run(BpfProgram program, byte[] frame, UplinkClass one, int verdict, int index)
    {
        Span<byte> output = stackalloc byte[Room];
        _values.Read(index, _before);
        var (result, length) = program.TestRun(frame, output);
        _values.Read(index, _after);
        Assert.Equal((verdict, frame.Length), (result, length));
        Assert.True(output[..length].SequenceEqual(frame), "the frame was changed");
        var expected = new ulong[_before.Length];
        _before.CopyTo(expected, 0);
        var size = UplinkValue.SizeBounds.ToArray().Count(bound => frame.Length > bound);
        foreach (var (field, count) in (IEnumerable<(string, int)>)
        [
            ($"{UplinkValue.ClassNames[(int)one]}.packets", 1), ($"{UplinkValue.ClassNames[(int)one]}.bytes", frame.Length),
        ])
        {
            expected[UplinkValue.Fields.IndexOf(field)] += (ulong)count;
        }
        var first = 2 * (UplinkValue.ClassNames.Count + size);
        (expected[first], expected[first + 1]) = (expected[first] + 1, expected[first + 1] + (ulong)frame.Length);
        Assert.True(expected.AsSpan().SequenceEqual(_after), $"wanted {one}, counted {string.Join(", ", UplinkValue.Fields.Names.Where((_, field) => _after[field] != _before[field]))}");
    }
}
