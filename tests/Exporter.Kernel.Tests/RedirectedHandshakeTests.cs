using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>
/// Connections that netfilter redirects to a proxy in the pod's own namespace, as service meshes do: the sockets' routes lead out of the pod,
/// and the packets never leave it. The rules and the routes are real.
/// </summary>
public sealed class RedirectedHandshakeTests
{
    private const int Far = 7100;
    private const int Nobody = 7101;

    public static TheoryData<AddressFamily> Families => [AddressFamily.InterNetwork, AddressFamily.InterNetworkV6];

    [Theory]
    [MemberData(nameof(Families))]
    public void A_connection_that_is_redirected_to_its_own_namespace_does_not_count(AddressFamily family)
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var proxy = pod.Listen(AddressFamily.InterNetworkV6);
        Redirect(pod, $"tcp dport {Far} redirect to :{proxy.Port()}");

        for (var i = 0; i < 3; i++)
        {
            using var application = TcpSockets.Open(pod, family);
            application.Connect(Outside(pod, family), Far);
            using var accepted = proxy.Accept();
        }

        AssertNone(counting, pod);
    }

    [Fact]
    public void An_IPv4_connection_of_an_IPv6_socket_that_is_redirected_does_not_count()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var proxy = pod.Listen(AddressFamily.InterNetworkV6);
        Redirect(pod, $"tcp dport {Far} redirect to :{proxy.Port()}");
        using var application = TcpSockets.Open(pod, AddressFamily.InterNetworkV6);

        application.Connect(pod.HostAddress.MapToIPv6(), Far);

        AssertNone(counting, pod);
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Failures_of_redirected_connections_do_not_count(AddressFamily family)
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var silent = pod.Listen(AddressFamily.InterNetworkV6);
        Redirect(pod, $"tcp dport {Far} redirect to :{Nobody}", $"tcp dport {Far + 1} redirect to :{silent.Port()}");
        Filter(pod, "input", $"tcp dport {silent.Port()} drop");

        Fail(TcpSockets.Open(pod, family), Outside(pod, family), Far, SocketError.ConnectionRefused);
        Fail(TcpSockets.Open(pod, family).WithSynRetries(1), Outside(pod, family), Far + 1, SocketError.TimedOut);
        using (var aborted = TcpSockets.Open(pod, family))
        {
            Begin(aborted, Outside(pod, family), Far + 1);
        }

        AssertNone(counting, pod);
        Assert.Equal(0, counting.CountLate());
    }

    [Fact]
    public void A_redirected_connection_whose_first_SYN_is_lost_does_not_count()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var proxy = pod.Listen();
        Redirect(pod, $"tcp dport {Far} redirect to :{proxy.Port()}");
        Filter(pod, "input", $"tcp dport {proxy.Port()} tcp flags & (syn|ack) == syn numgen inc mod 2 0 drop");
        using var application = TcpSockets.Open(pod);

        application.Connect(pod.HostAddress, Far);

        AssertNone(counting, pod);
        Assert.Equal(0, counting.CountLate());
    }

    [Fact]
    public void What_a_proxy_connects_to_outside_counts_and_so_do_its_failures()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var proxy = pod.Listen();
        using var server = TcpSockets.Listen(null);
        Redirect(pod, $"tcp dport {Far} redirect to :{proxy.Port()}");
        using var application = TcpSockets.Open(pod);
        application.Connect(pod.HostAddress, Far);
        using var accepted = proxy.Accept();

        using var onward = TcpSockets.Open(pod);
        onward.Connect(pod.HostAddress, server.Port());
        Fail(TcpSockets.Open(pod), pod.HostAddress, Nobody, SocketError.ConnectionRefused);

        var client = counting.Of(pod).Client;
        Assert.Equal((1ul, onward.RoundTrip() * 1000ul), (client.Completed(), client.Nanoseconds()));
        Assert.Equal([HandshakeFailure.Refused], client.Failed());
        Assert.Equal(1ul, counting.OfHost().Server.Completed());
    }

    [Fact]
    public void What_comes_from_outside_and_is_redirected_on_its_way_in_counts()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var proxy = pod.Listen();
        pod.Namespace.Exec(
            "nft", $"add table inet pnt; add chain inet pnt in {{ type nat hook prerouting priority -100; }}; add rule inet pnt in tcp dport {Far} redirect to :{proxy.Port()}");
        using var client = TcpSockets.Open();

        client.Connect(pod.Address, Far);
        using var accepted = proxy.Accept();

        Assert.Equal((1ul, 1ul), (counting.OfHost().Client.Completed(), counting.Of(pod).Server.Completed()));
    }

    /// <summary>TPROXY takes what comes in through lo: the mark of the application's packets routes them there.</summary>
    [Fact]
    public void A_connection_that_a_transparent_proxy_of_its_own_namespace_takes_does_not_count()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        RouteMarkedToLoopback(pod);
        using var proxy = TcpSockets.Open(pod).Transparent();
        proxy.Bind(new IPEndPoint(IPAddress.Any, 0));
        proxy.Listen();
        pod.Namespace.Exec(
            "nft",
            $"add table ip pnt; add chain ip pnt out {{ type route hook output priority -150; }}; add rule ip pnt out tcp dport {Far} meta mark set 1; "
            + $"add chain ip pnt in {{ type filter hook prerouting priority -150; }}; add rule ip pnt in tcp dport {Far} tproxy to :{proxy.Port()} meta mark set 1 accept");
        using var application = TcpSockets.Open(pod);

        application.Connect(pod.HostAddress, Far);
        using var accepted = proxy.Accept();

        Assert.Equal(new IPEndPoint(pod.HostAddress, Far), accepted.LocalEndPoint);
        AssertNone(counting, pod);
    }

    /// <summary>The application's answers have a route out of the pod, to the client whose address the proxy has taken.</summary>
    [Fact]
    public void A_connection_from_a_proxy_that_keeps_its_client_s_address_does_not_count()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        RouteMarkedToLoopback(pod);
        using var application = pod.Listen();
        pod.Namespace.Exec(
            "nft", $"add table ip pnt; add chain ip pnt out {{ type route hook output priority -150; }}; add rule ip pnt out tcp sport {application.Port()} meta mark set 1");
        using var proxy = TcpSockets.Open(pod).Transparent();
        proxy.Bind(new IPEndPoint(IPAddress.Parse("192.0.2.7"), 0));

        proxy.Connect(pod.Address, application.Port());
        using var accepted = application.Accept();

        Assert.Equal(IPAddress.Parse("192.0.2.7"), ((IPEndPoint)accepted.RemoteEndPoint!).Address);
        AssertNone(counting, pod);
    }

    /// <summary>Nothing but the MSS tells where a SYN-ACK came from, and a network may have jumbo frames at the other end only.</summary>
    [Theory]
    [InlineData(1500, 9000)]
    [InlineData(1500, 9216)]
    [InlineData(1500, 65520)]
    [InlineData(65535, 65535)]
    public void A_server_with_larger_frames_than_its_client_counts(int client, int server)
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = TcpSockets.Listen(null, AddressFamily.InterNetworkV6);
        // The host's end announces what its route allows, and takes less.
        pod.Namespace.Ip($"link set eth0 mtu {Math.Min(client, 65535)}");
        Shell.Ip($"link set {pod.Interface} mtu {server}");

        foreach (var address in (IPAddress[])[pod.HostAddress, pod.HostAddress6])
        {
            using var socket = TcpSockets.Open(pod, address.AddressFamily);
            socket.Connect(address, listener.Port());
            using var accepted = listener.Accept();
        }

        Assert.Equal((2ul, 2ul), (counting.Of(pod).Client.Completed(), counting.OfHost().Server.Completed()));
    }

    private static IPAddress Outside(Pod pod, AddressFamily family) => family == AddressFamily.InterNetwork ? pod.HostAddress : pod.HostAddress6;

    private static void Redirect(Pod pod, params string[] rules) => pod.Namespace.Exec(
        "nft", $"add table inet pnt; add chain inet pnt out {{ type nat hook output priority -100; }}; {string.Join("; ", rules.Select(rule => $"add rule inet pnt out {rule}"))}");

    private static void Filter(Pod pod, string hook, string rule) => pod.Namespace.Exec(
        "nft", $"add table inet pnf; add chain inet pnf {hook} {{ type filter hook {hook} priority 0; }}; add rule inet pnf {hook} {rule}");

    private static void RouteMarkedToLoopback(Pod pod)
    {
        pod.Namespace.Ip("rule add fwmark 1 lookup 100");
        pod.Namespace.Ip("route add local 0.0.0.0/0 dev lo table 100");
        pod.Namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/conf/all/rp_filter", "0");
            File.WriteAllText("/proc/sys/net/ipv4/conf/lo/rp_filter", "0");
            return 0;
        });
    }

    private static void Fail(Socket socket, IPAddress address, int port, SocketError expected)
    {
        using (socket)
        {
            Assert.Equal(expected, Assert.Throws<SocketException>(() => socket.Connect(address, port)).SocketErrorCode);
        }
    }

    private static void Begin(Socket socket, IPAddress address, int port)
    {
        socket.Blocking = false;
        Assert.Equal(SocketError.WouldBlock, Assert.Throws<SocketException>(() => socket.Connect(address, port)).SocketErrorCode);
    }

    private static void AssertNone(HandshakeCounting counting, Pod pod)
    {
        var (client, server) = (counting.Of(pod).Client, counting.Of(pod).Server);
        Assert.Equal((0ul, 0ul, 0ul, 0ul), (client.Total, server.Total, client.Retransmits, server.Retransmits));
        Assert.Equal(0ul, counting.AllLosses());
    }
}
