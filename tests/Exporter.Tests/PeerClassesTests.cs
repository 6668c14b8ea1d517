using System.Net;
using CsCheck;
using Exporter.Options;
using Exporter.Peers;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Classes of addresses by the longest prefix, and the list that gives them.</summary>
public sealed class PeerClassesTests
{
    private static readonly (IPNetwork Network, string Class)[] BuiltIn =
    [
        .. new (string Class, string[] Networks)[]
        {
            ("metadata", ["169.254.169.254/32", "fd00:ec2::254/128", "fd20:ce::254/128"]),
            ("private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"]),
            ("multicast", ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"]),
        }.SelectMany(pair => pair.Networks.Select(network => (IPNetwork.Parse(network), pair.Class))),
    ];

    [Theory]
    [InlineData("169.254.169.254", "metadata")]
    [InlineData("169.254.169.253", "private")]
    [InlineData("fd00:ec2::254", "metadata")]
    [InlineData("fd20:ce::254", "metadata")]
    [InlineData("fd00:ec2::255", "private")]
    [InlineData("9.255.255.255", "internet")]
    [InlineData("10.0.0.0", "private")]
    [InlineData("10.255.255.255", "private")]
    [InlineData("11.0.0.0", "internet")]
    [InlineData("172.15.255.255", "internet")]
    [InlineData("172.16.0.0", "private")]
    [InlineData("172.31.255.255", "private")]
    [InlineData("172.32.0.0", "internet")]
    [InlineData("192.168.255.255", "private")]
    [InlineData("192.169.0.0", "internet")]
    [InlineData("100.63.255.255", "internet")]
    [InlineData("100.64.0.0", "private")]
    [InlineData("100.127.255.255", "private")]
    [InlineData("100.128.0.0", "internet")]
    [InlineData("fbff::1", "internet")]
    [InlineData("fc00::", "private")]
    [InlineData("fdff:ffff::1", "private")]
    [InlineData("fe80::1", "private")]
    [InlineData("febf::1", "private")]
    [InlineData("fec0::1", "internet")]
    [InlineData("223.255.255.255", "internet")]
    [InlineData("224.0.0.1", "multicast")]
    [InlineData("239.255.255.255", "multicast")]
    [InlineData("240.0.0.0", "internet")]
    [InlineData("255.255.255.254", "internet")]
    [InlineData("255.255.255.255", "multicast")]
    [InlineData("ff02::1", "multicast")]
    [InlineData("0.0.0.0", "internet")]
    [InlineData("::", "internet")]
    [InlineData("2001:db8::1", "internet")]
    [InlineData("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast")]
    [InlineData("::ffff:10.0.0.1", "private")]
    public void Built_in_classes_have_these_addresses(string address, string name) => Assert.Equal(name, Find("", address));

    [Theory]
    [InlineData("10.0.0.1", "private")]
    [InlineData("10.1.0.1", "pods")]
    [InlineData("10.1.2.1", "databases")]
    [InlineData("10.1.2.3", "one")]
    [InlineData("10.1.3.0", "pods")]
    [InlineData("8.8.8.8", "internet")]
    [InlineData("2001:db8::1", "outside")]
    public void The_longest_prefix_decides(string address, string name) =>
        Assert.Equal(name, Find("one=10.1.2.3/32;outside=::/0;pods=10.1.0.0/16;databases=10.1.2.0/24", address));

    [Fact]
    public void A_class_of_the_same_name_replaces_the_built_in_one()
    {
        const string List = "private=10.0.0.0/8;metadata=192.0.2.1/32";

        Assert.Equal("private internet internet", $"{Find(List, "10.0.0.1")} {Find(List, "192.168.0.1")} {Find(List, "fc00::1")}");
        Assert.Equal("metadata private", $"{Find(List, "192.0.2.1")} {Find(List, "169.254.169.254")}");
        Assert.Equal("private private", $"{Find(List, "169.254.1.1")} {Find(List, "fe80::1")}");
    }

    [Fact]
    public void A_given_network_is_taken_from_a_built_in_class() => Assert.Equal("corp private", $"{Find("corp=10.0.0.0/8", "10.0.0.1")} {Find("corp=10.0.0.0/8", "172.16.0.1")}");

    [Fact]
    public void All_addresses_can_have_a_class_of_the_user_s() =>
        Assert.Equal("world world private", $"{Find("world=0.0.0.0/0,::/0", "8.8.8.8")} {Find("world=0.0.0.0/0,::/0", "2001:db8::1")} {Find("world=0.0.0.0/0,::/0", "10.0.0.1")}");

    [Theory]
    [InlineData("pods=10.0.0.1/8", "has '10.0.0.1/8' in the class 'pods', which has bits behind its prefix; write 10.0.0.0/8")]
    [InlineData("pods=fd00::1/48", "has 'fd00::1/48' in the class 'pods', which has bits behind its prefix; write fd00::/48")]
    [InlineData("pods=10.0.0.0", "has '10.0.0.0' in the class 'pods', which is not a network")]
    [InlineData("pods=10.0.0.0/33", "has '10.0.0.0/33' in the class 'pods', which is not a network")]
    [InlineData("pods=fd00::/129", "has 'fd00::/129' in the class 'pods', which is not a network")]
    [InlineData("pods=10.0.0.0/-1", "has '10.0.0.0/-1' in the class 'pods', which is not a network")]
    [InlineData("pods=10.0/8", "has '10.0/8' in the class 'pods', which is not a network")]
    [InlineData("pods=010.0.0.0/8", "has '010.0.0.0/8' in the class 'pods', which is not a network")]
    [InlineData("pods=::ffff:10.0.0.0/104", "has '::ffff:10.0.0.0/104' in the class 'pods', which is not a network")]
    [InlineData("pods=fe80::%1/64", "has 'fe80::%1/64' in the class 'pods', which is not a network")]
    [InlineData("pods=cluster/8", "has 'cluster/8' in the class 'pods', which is not a network")]
    [InlineData("pods=10.0.0.0/8/8", "has '10.0.0.0/8/8' in the class 'pods', which is not a network")]
    [InlineData("pods=", "has the class 'pods' without a network")]
    [InlineData("pods", "has the class 'pods' without a network")]
    [InlineData("pods=10.0.0.0/8;pods=11.0.0.0/8", "has the class 'pods' twice")]
    [InlineData("pods=10.0.0.0/8,10.0.0.0/8", "has 10.0.0.0/8 twice in the class 'pods'")]
    [InlineData("pods=10.0.0.0/8;corp=10.0.0.0/8", "has 10.0.0.0/8 in the classes 'pods' and 'corp'")]
    [InlineData("Pods=10.0.0.0/8", "has the class 'Pods'; a name is")]
    [InlineData("-pods=10.0.0.0/8", "has the class '-pods'; a name is")]
    [InlineData("pods-=10.0.0.0/8", "has the class 'pods-'; a name is")]
    [InlineData("p.s=10.0.0.0/8", "has the class 'p.s'; a name is")]
    [InlineData("=10.0.0.0/8", "has the class ''; a name is")]
    [InlineData("a23456789012345678901234567890123456789012345678901234567890abcd=10.0.0.0/8", "0abcd'; a name is")]
    [InlineData("service=10.0.0.0/8", "has the class 'service', a name that is reserved")]
    [InlineData("node=10.0.0.0/8", "has the class 'node', a name that is reserved")]
    [InlineData("workload=10.0.0.0/8", "has the class 'workload', a name that is reserved")]
    [InlineData("__other__=10.0.0.0/8", "has the class '__other__', a name that is reserved")]
    [InlineData("__unrecorded__=10.0.0.0/8", "has the class '__unrecorded__', a name that is reserved")]
    public void A_wrong_list_is_refused_with_the_reason(string list, string reason) => Assert.Contains(reason, ErrorOf(list), StringComparison.Ordinal);

    [Fact]
    public void All_errors_of_a_list_come_at_once()
    {
        var error = ErrorOf("node=10.0.0.0/8;pods=10.1.0.1/16,nowhere;corp=10.1.0.0/16;corp=10.2.0.0/16");

        Assert.All(
            (string[])["'node'", "write 10.1.0.0/16", "'nowhere'", "the classes 'pods' and 'corp'", "'corp' twice"],
            part => Assert.Contains(part, error, StringComparison.Ordinal));
    }

    [Fact]
    public void A_list_is_bounded()
    {
        Assert.Contains("there can be 64 classes", ErrorOf(string.Join(';', Enumerable.Range(0, 65).Select(i => $"c{i}=10.{i}.0.0/16"))), StringComparison.Ordinal);
        Assert.Contains("and 1024 networks", ErrorOf("c=" + string.Join(',', Enumerable.Range(0, 1025).Select(i => $"10.{i / 256}.{i % 256}.0/24"))), StringComparison.Ordinal);
    }

    [Fact]
    public void Pods_have_to_be_given()
    {
        Assert.False(Read("corp=10.0.0.0/8").Classes.HasPods);
        Assert.True(Read(" pods = 10.0.0.0/8 , fd00::/48 ; corp=192.0.2.0/24;").Classes.HasPods);
    }

    [Fact]
    public void Names_are_all_classes_once() =>
        Assert.Equal(["corp", "internet", "metadata", "multicast", "private"], Read("corp=192.0.2.0/24,198.51.100.0/24").Classes.Names);

    [Fact]
    public void Any_list_has_the_classes_that_a_search_through_all_prefixes_has()
    {
        var network = Gen.Select(Gen.Bool, Gen.UInt, Gen.Int[0, 128]).Select((isIpv4, bits, length) => Network(isIpv4, bits, isIpv4 ? length / 4 : length));
        Gen.Select(network.Array[0, 40], Gen.UInt.Array[20]).Sample(
            (networks, others) =>
            {
                var given = networks.Distinct().Select((text, i) => (Network: IPNetwork.Parse(text), Class: $"c{i % 7}")).ToList();
                var list = string.Join(';', given.GroupBy(pair => pair.Class, pair => pair.Network).Select(group => $"{group.Key}={string.Join(',', group)}"));
                var classes = KnownPeers.ClassesOf(list);
                (IPNetwork Network, string Class)[] all = [.. given, .. BuiltIn.Where(pair => given.All(other => other.Network.ToString() != pair.Network.ToString()))];
                foreach (var address in Edges(given.Select(pair => pair.Network)).Concat(others.Select(bits => IPAddress.Parse(Network(bits % 2 == 0, bits, bits % 2 == 0 ? 32 : 128).Split('/')[0]))))
                {
                    Assert.Equal(
                        all.Where(pair => pair.Network.Contains(address)).OrderByDescending(pair => pair.Network.PrefixLength).FirstOrDefault().Class ?? "internet",
                        classes.Find(address.GetAddressBytes()));
                }
            },
            seed: "0000KOIPe036",
            iter: 500);
    }

    [Fact]
    public void A_look_up_allocates_nothing()
    {
        var (address, before) = (KnownPeers.Bytes("10.1.2.3"), 0L);
        for (var i = 0; i < 2; i++)
        {
            before = GC.GetAllocatedBytesForCurrentThread();
            PeerClasses.BuiltIn.Find(address);
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    /// <summary>The first and last addresses, and their neighbours.</summary>
    private static IEnumerable<IPAddress> Edges(IEnumerable<IPNetwork> networks)
    {
        foreach (var network in networks)
        {
            var first = network.BaseAddress.GetAddressBytes();
            byte[] last = [.. first.Select((part, i) => (byte)(part | (0xff >> Math.Clamp(network.PrefixLength - (8 * i), 0, 8))))];
            foreach (var (edge, step) in new[] { (first, 0), (first, -1), (last, 0), (last, 1) })
            {
                var number = new System.Numerics.BigInteger(edge, isUnsigned: true, isBigEndian: true) + step;
                if (number >= 0 && number.GetByteCount(isUnsigned: true) <= first.Length)
                {
                    var bytes = number.ToByteArray(isUnsigned: true, isBigEndian: true);
                    yield return new IPAddress((byte[])[.. new byte[first.Length - bytes.Length], .. bytes]);
                }
            }
        }
    }

    /// <summary>Few different networks, so that they lie in each other. No IPv6 network has mapped addresses in it, but for the shortest.</summary>
    private static string Network(bool isIpv4, uint bits, int length)
    {
        byte[] address = isIpv4
            ? [(byte)(10 + (bits & 1)), (byte)(bits >> 1 & 3), (byte)(bits >> 3 & 3), (byte)(bits >> 5 & 3)]
            : [0xfd, (byte)(bits & 1), 0, (byte)(bits >> 1 & 3), 0, 0, 0, 0, 0, 0, 0, 0, (byte)(bits >> 3 & 3), 0, 0, (byte)(bits >> 5 & 3)];
        for (var i = 0; i < address.Length; i++)
        {
            address[i] &= (byte)~(0xff >> Math.Clamp(length - (8 * i), 0, 8));
        }
        return $"{new IPAddress(address)}/{length}";
    }

    private static string Find(string list, string address) => KnownPeers.ClassesOf(list).Find(KnownPeers.Bytes(address));

    private static string ErrorOf(string list) => Assert.Single(Read(list).Reader.Errors);

    private static (PeerClasses Classes, OptionReader Reader) Read(string list)
    {
        var reader = TestOptions.Reader((PeerClasses.Key, list));
        return (PeerClasses.Read(reader), reader);
    }
}
