using System.Net;
using System.Text;
using CsCheck;
using Exporter.Records;

namespace Exporter.Tests;

/// <summary>Addresses of flows: their text, their order, their prefixes.</summary>
public sealed class FlowAddressTests
{
    private static readonly Gen<byte[]> Ipv4 = Gen.Byte.Array[4];

    /// <summary>Groups that are often zero, so that there are runs of them.</summary>
    private static readonly Gen<byte[]> Ipv6 = Gen.OneOf(
        Gen.Byte.Array[16],
        Gen.Frequency((3, Gen.Const((ushort)0)), (1, Gen.UShort[1, 15]), (1, Gen.UShort)).Array[8].Select(groups => groups.SelectMany(group => (byte[])[(byte)(group >> 8), (byte)group]).ToArray()),
        Gen.Byte.Array[4].Select(bytes => (byte[])[.. new byte[10], 0xff, 0xff, .. bytes]));

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("255.255.255.255")]
    [InlineData("10.0.0.14")]
    [InlineData("::")]
    [InlineData("::1")]
    [InlineData("1::")]
    [InlineData("2001:db8::1")]
    [InlineData("2001:db8:0:1:1:1:1:1")]
    [InlineData("2001:0:0:1::1")]
    [InlineData("2001:db8::1:0:0:1")]
    [InlineData("::ffff:192.0.2.1")]
    [InlineData("::ffff:0.0.0.0")]
    [InlineData("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")]
    public void A_canonical_text_comes_back(string text) => Assert.Equal(text, FlowAddress.Parse(text).ToString());

    [Theory]
    [InlineData("2001:DB8:0:0:0:0:0:1", "2001:db8::1")]
    [InlineData("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1")]
    [InlineData("::ffff:c000:201", "::ffff:192.0.2.1")]
    [InlineData("::192.0.2.1", "::c000:201")]
    public void Another_text_becomes_canonical(string text, string canonical) => Assert.Equal(canonical, FlowAddress.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("1")]
    [InlineData("10.1")]
    [InlineData("010.0.0.1")]
    [InlineData("0x0a.0.0.1")]
    [InlineData("256.0.0.1")]
    [InlineData("fe80::1%eth0")]
    [InlineData("[::1]:80")]
    [InlineData("::1::")]
    [InlineData("web")]
    public void Any_other_text_is_refused(string text)
    {
        Assert.False(FlowAddress.TryParse(text, out _));
        Assert.Contains($"'{text}'", Assert.Throws<FormatException>(() => FlowAddress.Parse(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_text_of_an_IPv4_address_is_the_one_that_the_framework_writes() =>
        Ipv4.Sample(bytes => Assert.Equal(new IPAddress(bytes).ToString(), FlowAddress.From(bytes, isIpv6: false).ToString()));

    [Fact]
    public void The_text_of_an_IPv6_address_is_the_one_that_the_framework_writes() =>
        Ipv6.Where(bytes => !IsWrittenOtherwise(bytes)).Sample(bytes => Assert.Equal(new IPAddress(bytes).ToString(), FlowAddress.From(bytes, isIpv6: true).ToString()), iter: 20_000);

    [Fact]
    public void Any_address_comes_back_from_its_text_and_from_its_bytes() =>
        Gen.OneOf(Ipv4, Ipv6).Sample(bytes =>
        {
            var address = FlowAddress.From(bytes, bytes.Length == 16);
            var written = new byte[16];

            Assert.Equal(address, FlowAddress.Parse(address.ToString()));
            Assert.Equal(bytes, written[..address.Write(written)]);
        });

    [Fact]
    public void Addresses_are_in_the_order_of_their_bytes() =>
        Gen.OneOf(Gen.Select(Ipv4, Ipv4), Gen.Select(Ipv6, Ipv6)).Sample((one, other) =>
            Assert.Equal(
                Math.Sign(one.AsSpan().SequenceCompareTo(other)),
                FlowAddress.From(one, one.Length == 16).CompareTo(FlowAddress.From(other, one.Length == 16))));

    [Theory]
    [InlineData("10.1.2.255", 24, "10.1.2.0")]
    [InlineData("10.1.2.255", 25, "10.1.2.128")]
    [InlineData("10.1.2.255", 32, "10.1.2.255")]
    [InlineData("10.1.2.255", 0, "0.0.0.0")]
    [InlineData("2001:db8:ffff:ffff:ffff::1", 48, "2001:db8:ffff::")]
    [InlineData("2001:db8:ffff:ffff:ffff::1", 64, "2001:db8:ffff:ffff::")]
    [InlineData("2001:db8:ffff:ffff:ffff::1", 65, "2001:db8:ffff:ffff:8000::")]
    [InlineData("2001:db8:ffff:ffff:ffff::1", 128, "2001:db8:ffff:ffff:ffff::1")]
    [InlineData("2001:db8:ffff:ffff:ffff::1", 0, "::")]
    public void A_prefix_has_the_first_bits(string text, int bits, string prefix) => Assert.Equal(prefix, FlowAddress.Parse(text).Prefix(bits).ToString());

    [Fact]
    public void A_prefix_is_not_longer_than_the_address()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => FlowAddress.Parse("10.0.0.1").Prefix(33));
        Assert.Throws<ArgumentOutOfRangeException>(() => FlowAddress.Parse("::1").Prefix(-1));
    }

    [Fact]
    public void A_mapped_address_is_not_its_IPv4_address() => Assert.NotEqual(FlowAddress.Parse("192.0.2.1"), FlowAddress.Parse("::ffff:192.0.2.1"));

    [Fact]
    public void A_text_without_room_is_not_written()
    {
        var address = FlowAddress.Parse("10.0.0.14");

        Assert.False(address.TryFormat(new byte[8], out var none));
        Assert.Equal(0, none);
        var text = new byte[9];
        Assert.True(address.TryFormat(text, out var written));
        Assert.Equal("10.0.0.14", Encoding.ASCII.GetString(text, 0, written));
    }

    [Fact]
    public void No_address_has_no_text()
    {
        Assert.True(default(FlowAddress).TryFormat([], out var written));
        Assert.Equal(0, written);
        Assert.True(default(FlowAddress).IsNone);
        Assert.False(FlowAddress.Parse("::").IsNone);
    }

    /// <summary>The framework also writes deprecated forms with an IPv4 address in them (compatible, translated, ISATAP), and not every mapped one.</summary>
    private static bool IsWrittenOtherwise(byte[] bytes)
    {
        var isMapped = bytes.AsSpan(0, 10).IndexOfAnyExcept((byte)0) < 0 && bytes is [.., 0xff, 0xff, _, _, _, _];
        return isMapped ? bytes[12] == 0 && bytes[13] == 0 : new IPAddress(bytes).ToString().Contains('.', StringComparison.Ordinal);
    }
}
