using Exporter.Bpf.Netlink;
using static Exporter.Tests.Support.NetlinkBytes;

namespace Exporter.Tests;

public sealed class NetlinkReaderTests
{
    [Fact]
    public void Messages_of_a_datagram_are_read_one_after_the_other()
    {
        byte[] datagram = [.. Message(16, 0x2, 5, [1, 2, 3, 4]), .. Message(17, 0x10, 6, [9])];
        var messages = new NetlinkMessages(datagram);

        Assert.True(messages.TryRead(out var first));
        Assert.Equal((16, 2, 5u), (first.Type, first.Flags, first.Sequence));
        Assert.Equal([1, 2, 3, 4], first.Payload.ToArray());
        Assert.True(messages.TryRead(out var second));
        Assert.Equal((17, 0x10, 6u), (second.Type, second.Flags, second.Sequence));
        Assert.Equal([9], second.Payload.ToArray());
        Assert.False(messages.TryRead(out _));
    }

    [Fact]
    public void A_message_without_its_last_padding_is_read()
    {
        var datagram = Message(16, 0, 0, [1, 2, 3])[..^1];

        Assert.Equal([3], PayloadLengths(datagram));
    }

    [Fact]
    public void A_message_that_is_cut_short_anywhere_is_not_read()
    {
        var whole = Message(16, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);

        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Empty(PayloadLengths(whole[..length]));
        }
    }

    [Fact]
    public void What_is_before_a_message_that_is_cut_short_is_read()
    {
        byte[] datagram = [.. Message(16, 0, 0, [1, 2, 3, 4]), .. Message(16, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])[..20]];

        Assert.Equal([4], PayloadLengths(datagram));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(21)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    [InlineData(int.MaxValue)]
    public void A_message_of_an_impossible_length_ends_the_walk(int length)
    {
        var datagram = Message(16, 0, 0, [1, 2, 3, 4]);
        BitConverter.TryWriteBytes(datagram, length);

        Assert.Empty(PayloadLengths(datagram));
    }

    [Fact]
    public void Attributes_start_at_multiples_of_four_bytes()
    {
        byte[] bytes = [.. Attribute(3, 1), .. Attribute(4, [1, 2, 3, 4, 5]), .. Attribute(5)];

        Assert.Equal([(3, 4), (4, 5), (5, 0)], TypesAndLengths(bytes));
    }

    [Fact]
    public void The_flags_of_an_attributes_type_are_left_out() => Assert.Equal([(18, 0), (18, 0)], TypesAndLengths([.. Attribute(18 | 0x8000), .. Attribute(18 | 0x4000)]));

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(9)]
    [InlineData(ushort.MaxValue)]
    public void An_attribute_of_an_impossible_length_ends_the_walk(int length)
    {
        byte[] bytes = [.. Attribute(3, [7]), .. WithLength(Attribute(4, 1), (ushort)length)];

        Assert.Equal([(3, 1)], TypesAndLengths(bytes));
    }

    [Fact]
    public void An_attribute_that_is_cut_short_anywhere_is_not_read()
    {
        var whole = Attribute(3, [1, 2, 3, 4]);

        for (var length = 0; length < whole.Length; length++)
        {
            Assert.Empty(TypesAndLengths(whole[..length]));
        }
    }

    [Fact]
    public void A_message_shorter_than_its_fixed_part_has_no_attributes()
    {
        var messages = new NetlinkMessages(Message(16, 0, 0, [1, 2, 3]));
        Assert.True(messages.TryRead(out var message));

        Assert.False(message.Attributes<IfInfoMessage>().TryRead(out _));
    }

    [Theory]
    [InlineData(new byte[] { }, null)]
    [InlineData(new byte[] { 1, 0, 0 }, null)]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff }, -1)]
    [InlineData(new byte[] { 1, 1, 0, 0, 9 }, 257)]
    public void A_number_that_is_too_short_is_none(byte[] value, int? expected) => Assert.Equal(expected, new NetlinkAttribute(1, value).Int32);

    [Theory]
    [InlineData(new byte[] { }, "")]
    [InlineData(new byte[] { 0 }, "")]
    [InlineData(new byte[] { (byte)'e', (byte)'t', (byte)'h', 0 }, "eth")]
    [InlineData(new byte[] { (byte)'e', (byte)'t', (byte)'h' }, "eth")]
    [InlineData(new byte[] { (byte)'e', 0, 0, 0 }, "e")]
    public void A_text_ends_before_its_zeros(byte[] value, string expected) => Assert.Equal(expected, new NetlinkAttribute(1, value).Text);

    /// <summary>Wild bytes, and messages of which some bytes were changed: the walkers end and stay inside.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Walking_over_random_bytes_never_throws_and_always_ends(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 25_000; round++)
        {
            var bytes = round % 2 == 0 ? RandomBytes(random) : Damaged(random);

            Walk(bytes);
        }
    }

    private static byte[] RandomBytes(Random random)
    {
        var bytes = new byte[random.Next(200)];
        random.NextBytes(bytes);
        if (bytes.Length >= 4 && random.Next(2) == 0)
        {
            BitConverter.TryWriteBytes(bytes, random.Next(bytes.Length + 8));
        }
        return bytes;
    }

    private static byte[] Damaged(Random random)
    {
        byte[] payload = [.. IfInfo(0, 7), .. Attribute(3, "veth7"), .. Attribute(18, [.. Attribute(1, "veth")]), .. Attribute(37, 5)];
        byte[] bytes = [.. Message(16, 0, 1, payload), .. Message(17, 0, 1, payload)];
        for (var i = random.Next(6); i > 0; i--)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }
        return bytes[..random.Next(bytes.Length + 1)];
    }

    private static void Walk(byte[] bytes)
    {
        var consumed = 0;
        var messages = new NetlinkMessages(bytes);
        while (messages.TryRead(out var message))
        {
            consumed += 16 + message.Payload.Length;
            WalkAttributes(message.Attributes<IfInfoMessage>(), depth: 0);
        }
        Assert.True(consumed <= bytes.Length);
        WalkAttributes(new(bytes), depth: 0);
    }

    private static void WalkAttributes(NetlinkAttributes attributes, int depth)
    {
        while (attributes.TryRead(out var attribute))
        {
            _ = attribute.Int32;
            _ = attribute.Text;
            if (depth < 4)
            {
                WalkAttributes(attribute.Nested, depth + 1);
            }
        }
    }

    private static List<int> PayloadLengths(byte[] datagram)
    {
        List<int> lengths = [];
        var messages = new NetlinkMessages(datagram);
        while (messages.TryRead(out var message))
        {
            lengths.Add(message.Payload.Length);
        }
        return lengths;
    }

    private static List<(int Type, int Length)> TypesAndLengths(byte[] bytes)
    {
        List<(int, int)> read = [];
        var attributes = new NetlinkAttributes(bytes);
        while (attributes.TryRead(out var attribute))
        {
            read.Add((attribute.Type, attribute.Value.Length));
        }
        return read;
    }
}
