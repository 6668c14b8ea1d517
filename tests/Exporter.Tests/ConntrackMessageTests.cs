using System.Net;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using static Exporter.Tests.Support.NetlinkBytes;

namespace Exporter.Tests;

/// <summary>Questions and answers as linux/netfilter/nfnetlink_conntrack.h lays them out.</summary>
public sealed class ConntrackMessageTests
{
    private const byte Inet = 2;
    private const byte Inet6 = 10;
    private const byte Tcp = 6;
    private const int Nested = 0x8000;
    private const int TupleOrig = 1;
    private const int TupleReply = 2;
    private const int Status = 3;
    private const int Timeout = 7;
    private const ushort New = 0x100;

    /// <summary>A connection of 10.244.0.9:45717 to 10.96.0.5:5432 whose backend is 10.244.3.19:15432, as the kernel dumps it.</summary>
    private static readonly byte[] Answer =
    [
        Inet, 0, 0, 0,
        .. Attribute(TupleOrig | Nested, [.. Addresses(1, "10.244.0.9", "10.96.0.5"), .. Ports(45717, 5432)]),
        .. Attribute(TupleReply | Nested, [.. Addresses(1, "10.244.3.19", "10.244.0.9"), .. Ports(15432, 45717)]),
        .. Attribute(Status, 0, 0, 1, 0x8e),
        .. Attribute(Timeout, 0, 6, 0x97, 0x80),
    ];

    [Fact]
    public void The_question_has_the_tuple_in_which_the_connection_began()
    {
        Assert.Equal(
            Message(0x101, 0, 0, [Inet, 0, 0, 0, .. Attribute(TupleOrig | Nested, [.. Addresses(1, "10.244.0.9", "10.96.0.5"), .. Ports(45717, 5432)])]),
            Question("10.244.0.9", "10.96.0.5"));
        Assert.Equal(
            Message(0x101, 0, 0, [Inet6, 0, 0, 0, .. Attribute(TupleOrig | Nested, [.. Addresses(3, "fd01::9", "fd02::5"), .. Ports(45717, 5432)])]),
            Question("fd01::9", "fd02::5"));
    }

    [Fact]
    public void The_question_is_these_bytes() => Assert.Equal(
        "4800000001010000000000000000000002000000" // nlmsghdr with NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET; nfgenmsg
            + "34000180" + "14000180" + "080001000AF40009" + "080002000A600005" // CTA_TUPLE_ORIG, CTA_TUPLE_IP, source, destination
            + "1C000280" + "0500010006000000" + "06000200B2950000" + "0600030015380000", // CTA_TUPLE_PROTO, number, ports
        Convert.ToHexString(Question("10.244.0.9", "10.96.0.5")));

    [Fact]
    public void The_backend_is_the_source_of_the_replies()
    {
        var answer = Read(New, Answer, 4);

        Assert.True(answer.IsComplete);
        Assert.Equal((IPAddress.Parse("10.244.3.19"), 15432), (new IPAddress(answer.Address), answer.Port));
    }

    [Fact]
    public void An_IPv6_backend_is_read_as_well()
    {
        var answer = Read(New, [Inet6, 0, 0, 0, .. Attribute(TupleReply | Nested, [.. Addresses(3, "fd01::13", "fd01::9"), .. Ports(15432, 45717)])], 16);

        Assert.Equal((IPAddress.Parse("fd01::13"), 15432), (new IPAddress(answer.Address), answer.Port));
    }

    [Fact]
    public void An_answer_that_lacks_a_part_or_is_another_message_is_not_complete()
    {
        byte[] head = [Inet, 0, 0, 0];

        Assert.False(Read(New, [.. head, .. Attribute(TupleReply | Nested, Addresses(1, "10.244.3.19", "10.244.0.9"))], 4).IsComplete);
        Assert.False(Read(New, [.. head, .. Attribute(TupleReply | Nested, Ports(1, 2))], 4).IsComplete);
        Assert.False(Read(New, [.. head, .. Attribute(TupleOrig | Nested, [.. Addresses(1, "10.0.0.1", "10.0.0.2"), .. Ports(1, 2)])], 4).IsComplete);
        Assert.False(Read(New, Answer, 16).IsComplete);
        Assert.False(Read(0x102, Answer, 4).IsComplete);
        // The last attributes of the answer do not matter: the reply's tuple ends before them.
        Assert.All(Enumerable.Range(0, Answer.Length - 16), length => Assert.False(Read(New, Answer[..length], 4).IsComplete));
    }

    [Fact]
    public void An_answer_forgets_the_one_before()
    {
        var answer = Read(New, Answer, 4);
        answer.Begin(4);

        Assert.Equal((false, 0), (answer.IsComplete, answer.Port));
    }

    [Theory]
    [InlineData(0, true, "Found")]
    [InlineData(0, false, "NotFound")]
    [InlineData(Errno.ENOENT, false, "NotFound")]
    [InlineData(Errno.EINVAL, false, "NoModule")]
    [InlineData(Errno.EOPNOTSUPP, false, "NoModule")]
    [InlineData(Errno.EPROTONOSUPPORT, false, "NoModule")]
    [InlineData(Errno.EPERM, false, "Refused")]
    public void Errors_say_what_is_missing(int errno, bool isComplete, string result) => Assert.Equal(result, ConntrackClient.Judge(errno, "", isComplete).ToString());

    [Fact]
    public void Another_error_is_thrown_with_the_kernel_s_words() =>
        Assert.Contains("ENOBUFS", Assert.Throws<NetlinkException>(() => ConntrackClient.Judge(Errno.ENOBUFS, "no room", false)).Message, StringComparison.Ordinal);

    private static ConntrackAnswer Read(ushort type, byte[] payload, int length)
    {
        var answer = new ConntrackAnswer();
        answer.Begin(length);
        answer.Read(new NetlinkMessage(type, 0, 0, payload));
        return answer;
    }

    private static byte[] Question(string source, string destination)
    {
        var writer = new NetlinkWriter(new byte[1024], 0x101, 0);
        ConntrackClient.WriteRequest(ref writer, Tcp, IPAddress.Parse(source).GetAddressBytes(), 45717, IPAddress.Parse(destination).GetAddressBytes(), 5432);
        return writer.Message.ToArray();
    }

    /// <param name="first">CTA_IP_V4_SRC or CTA_IP_V6_SRC; the destination follows.</param>
    private static byte[] Addresses(int first, string source, string destination) => Attribute(
        1 | Nested, [.. Attribute(first, IPAddress.Parse(source).GetAddressBytes()), .. Attribute(first + 1, IPAddress.Parse(destination).GetAddressBytes())]);

    private static byte[] Ports(int source, int destination) => Attribute(
        2 | Nested, [.. Attribute(1, [Tcp]), .. Attribute(2, [(byte)(source >> 8), (byte)source]), .. Attribute(3, [(byte)(destination >> 8), (byte)destination])]);
}
