using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Real handshakes across namespaces, as the tracepoints' programs count them.</summary>
public sealed class HandshakeTests
{
    /// <summary>The families, and for each whether the pod's end is an IPv6 socket: IPv4 then comes to it mapped.</summary>
    public static TheoryData<AddressFamily, AddressFamily> Families => new()
    {
        { AddressFamily.InterNetwork, AddressFamily.InterNetwork },
        { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 },
        { AddressFamily.InterNetworkV6, AddressFamily.InterNetworkV6 },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void Client_and_server_are_counted_where_they_are_with_the_round_trip_of_their_sockets(AddressFamily client, AddressFamily server)
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen(server);
        using var connecting = TcpSockets.Open(family: client);

        connecting.Connect(client == AddressFamily.InterNetwork ? pod.Address : pod.Address6, listener.Port());
        using var accepted = listener.Accept();

        AssertOne(counting.OfHost().Client, connecting.RoundTrip());
        AssertOne(counting.Of(pod).Server, accepted.RoundTrip());
        Assert.Equal((0ul, 0ul), (counting.OfHost().Server.Total, counting.Of(pod).Client.Total));
        Assert.Equal(0ul, counting.AllLosses());
    }

    [Fact]
    public void An_IPv4_address_can_be_connected_to_by_an_IPv6_socket()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        using var connecting = TcpSockets.Open(family: AddressFamily.InterNetworkV6);

        connecting.Connect(pod.Address.MapToIPv6(), listener.Port());

        AssertOne(counting.OfHost().Client, connecting.RoundTrip());
    }

    /// <summary>
    /// The wire's own notes are the truth: between the first and the last of a side's packets lies less than the handshake, since a
    /// note is made behind the packet's departure and before its arrival; around both, more.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(100)]
    public void A_handshake_takes_what_a_capture_says(int milliseconds)
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var path = new DelayedPath(pod, TimeSpan.FromMilliseconds(milliseconds));
        using var listener = pod.Listen();
        using var socket = TcpSockets.Open();

        var waited = Time(() => socket.Connect(path.Address, listener.Port()));
        using var accepted = listener.Accept();

        var (client, server) = (counting.OfHost().Client, counting.Of(pod).Server);
        AssertOne(client, socket.RoundTrip());
        AssertOne(server, accepted.RoundTrip());
        var (microsecond, seen) = (1000d, path.Seen);
        Assert.InRange(
            client.Nanoseconds(),
            Stopwatch.GetElapsedTime(seen["SYN sent"], seen["SYN-ACK delivered"]).TotalNanoseconds - microsecond,
            waited.TotalNanoseconds);
        Assert.InRange(
            server.Nanoseconds(),
            Stopwatch.GetElapsedTime(seen["SYN-ACK sent"], seen["ACK delivered"]).TotalNanoseconds - microsecond,
            Stopwatch.GetElapsedTime(seen["SYN delivered"]).TotalNanoseconds);
        Assert.True(client.Nanoseconds() >= 2e6 * milliseconds && server.Nanoseconds() >= 2e6 * milliseconds, "The wire is too short");
    }

    [Fact]
    public void A_hundred_thousand_connections_are_as_many_as_the_kernel_says()
    {
        const int Threads = 2, Each = 50_000;
        using var counting = new HandshakeCounting();
        counting.Programs.AttachSecond();
        using var client = new Pod().Up();
        using var server = new Pod().Up();
        File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
        var listeners = Enumerable.Range(0, Threads).Select(_ => server.Listen(backlog: 1024)).ToList();
        var (opened, accepted) = (Snmp(client, "ActiveOpens"), Snmp(server, "PassiveOpens"));
        ulong roundTrips = 0;

        Parallel.ForEach(
            listeners,
            new ParallelOptions { MaxDegreeOfParallelism = Threads },
            listener =>
            {
                var acceptor = new Thread(() =>
                {
                    for (var i = 0; i < Each; i++)
                    {
                        listener.Accept().Dispose();
                    }
                });
                acceptor.Start();
                Interlocked.Add(ref roundTrips, client.Namespace.Run(() =>
                {
                    var sum = 0ul;
                    for (var i = 0; i < Each; i++)
                    {
                        using var socket = TcpSockets.Open().WithReset();
                        socket.Connect(server.Address, listener.Port());
                        sum += socket.RoundTrip();
                    }
                    return sum;
                }));
                acceptor.Join();
                listener.Dispose();
            });

        Assert.Equal(((long)Threads * Each, (long)Threads * Each), (Snmp(client, "ActiveOpens") - opened, Snmp(server, "PassiveOpens") - accepted));
        Assert.Equal((ulong)(Threads * Each), counting.Of(client).Client.Completed());
        Assert.Equal((ulong)(Threads * Each), counting.Of(server).Server.Completed());
        // Of the few that came upon an older connection of their ports, the socket does not know how long they took.
        if (counting.Of(client).Client.Retransmits == 0)
        {
            Assert.Equal(roundTrips * 1000, counting.Of(client).Client.Nanoseconds());
        }
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
        Assert.Empty(counting.Of(client).Client.Failed());
        Assert.True(counting.Drains > 10, $"{counting.Drains} drains");
    }

    [Fact]
    public void With_the_second_program_nothing_counts_twice()
    {
        const int Connections = 2000;
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        counting.Programs.AttachSecond();

        for (var i = 0; i < Connections; i++)
        {
            using var socket = TcpSockets.Open().WithReset();
            socket.Connect(pod.Address, listener.Port());
            listener.Accept().Dispose();
            FailToConnect(TcpSockets.Open(), pod.Address, 9, SocketError.ConnectionRefused);
        }

        var client = counting.OfHost().Client;
        Assert.Equal((Connections, Connections), ((int)client.Completed(), client.Failed().Count()));
        Assert.Equal((ulong)Connections, counting.Of(pod).Server.Completed());
    }

    [Fact]
    public void Loopback_connections_do_not_count()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen(AddressFamily.InterNetworkV6);

        // Its own addresses, and another one of its own: all of it stays on lo.
        pod.Namespace.Ip("addr add 10.99.99.99/32 dev eth0");
        foreach (var address in (IPAddress[])[IPAddress.Loopback, pod.Address, IPAddress.Parse("10.99.99.99"), IPAddress.IPv6Loopback, pod.Address6])
        {
            using var socket = TcpSockets.Open(pod, address.AddressFamily);
            socket.Connect(address, listener.Port());
            listener.Accept().Dispose();
            FailToConnect(TcpSockets.Open(pod, address.AddressFamily), address, 9, SocketError.ConnectionRefused);
        }
        using var bound = TcpSockets.Open(pod);
        bound.Bind(new IPEndPoint(IPAddress.Parse("10.99.99.99"), 0));
        bound.Connect(pod.Address, listener.Port());

        Assert.Equal((0ul, 0ul), (counting.Of(pod).Client.Total, counting.Of(pod).Server.Total));
        Assert.True(counting.Programs.Steps.Read((int)LoopbackStep.Connected) >= 6);
    }

    [Fact]
    public void A_handshake_whose_first_SYN_is_lost_takes_as_long_as_its_caller_waits()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        Drop(pod, $"tcp dport {listener.Port()} tcp flags & (syn|ack) == syn numgen inc mod 2 0", hook: "input");
        using var socket = TcpSockets.Open();

        var waited = Time(() => socket.Connect(pod.Address, listener.Port()));

        var client = counting.OfHost().Client;
        AssertOneWithin(client, waited);
        Assert.Equal(1ul, client.Retransmits);
        // The server answered the only SYN that came to it.
        using var accepted = listener.Accept();
        AssertOne(counting.Of(pod).Server, accepted.RoundTrip());
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
    }

    [Fact]
    public void A_handshake_whose_first_SYN_ACK_is_lost_is_late_on_both_sides()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = TcpSockets.Listen(null, AddressFamily.InterNetworkV6);
        Drop(pod, $"tcp sport {listener.Port()} numgen inc mod 2 0", hook: "input");
        using var socket = TcpSockets.Open(pod);

        Socket accepted = null!;
        // The server's ends with the ACK, for which the client does not wait.
        var waited = Time(() =>
        {
            socket.Connect(pod.HostAddress, listener.Port());
            accepted = listener.Accept();
        });
        accepted.Dispose();

        var (client, server) = (counting.Of(pod).Client, counting.OfHost().Server);
        AssertOneWithin(client, waited);
        AssertOneWithin(server, waited);
        Assert.True(server.Retransmits >= 1, $"{server.Retransmits} SYN-ACKs were sent again");
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
    }

    /// <summary>
    /// The server still has a connection of the same ports, of which the client knows nothing: it answers with an ACK, the client
    /// with a reset, and sends its SYN again a few milliseconds later.
    /// </summary>
    [Fact]
    public void A_handshake_that_comes_upon_an_older_connection_of_the_same_ports_is_exact()
    {
        const int Rounds = 10;
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var path = new DelayedPath(pod, TimeSpan.Zero);
        using var listener = pod.Listen();
        var exact = 0;
        for (var round = 0; round < 3 * Rounds && exact < Rounds; round++)
        {
            using var first = TcpSockets.Open();
            first.Connect(path.Address, listener.Port());
            var port = first.Port();
            using var orphan = listener.Accept();
            first.CloseSilently();
            using var second = TcpSockets.Open().WithReset();
            second.Bind(new IPEndPoint(path.HostAddress, port));
            var (before, skips) = (counting.OfHost().Client, counting.CountSkips());
            path.Seen.Clear();

            var waited = Time(() => second.Connect(path.Address, listener.Port()));

            listener.Accept().Dispose();
            var client = counting.OfHost().Client;
            if (counting.CountSkips() != skips)
            {
                continue;
            }
            Assert.Equal((before.Completed() + 1, before.Retransmits + 1), (client.Completed(), client.Retransmits));
            Assert.InRange(
                client.Nanoseconds() - before.Nanoseconds(),
                Stopwatch.GetElapsedTime(path.Seen["SYN sent"], path.Seen["SYN-ACK delivered"]).TotalNanoseconds - 1000,
                waited.TotalNanoseconds);
            exact++;
        }

        Assert.Equal(Rounds, exact);
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
    }

    [Fact]
    public void Every_failure_is_counted_once_under_its_reason_and_in_no_histogram()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        Drop(pod, "tcp dport 7001", hook: "input");
        Rule(pod, "tcp dport 7002 reject with icmp type host-unreachable", hook: "input");
        Rule(pod, "tcp dport 7003 reject with icmp type net-unreachable", hook: "input");

        var resent = HostNetStat("TCPSynRetrans");

        FailToConnect(TcpSockets.Open(), pod.Address, 7000, SocketError.ConnectionRefused);
        FailToConnect(TcpSockets.Open().WithSynRetries(1), pod.Address, 7001, SocketError.TimedOut);
        FailToConnect(TcpSockets.Open(), pod.Address, 7002, SocketError.HostUnreachable);
        FailToConnect(TcpSockets.Open(), pod.Address, 7003, SocketError.NetworkUnreachable);
        using (var aborted = TcpSockets.Open())
        {
            BeginToConnect(aborted, pod.Address, 7001);
        }

        var client = counting.OfHost().Client;
        HandshakeFailure[] expected =
        [
            HandshakeFailure.Refused, HandshakeFailure.TimedOut, HandshakeFailure.HostUnreachable, HandshakeFailure.NetUnreachable, HandshakeFailure.Aborted,
        ];
        Assert.Equal(expected, client.Failed());
        Assert.Equal((0ul, (ulong)(HostNetStat("TCPSynRetrans") - resent)), (client.Completed(), client.Retransmits));
        Assert.Equal(0ul, counting.Of(pod).Server.Total);
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
    }

    [Fact]
    public void A_connect_that_does_not_wait_is_counted_when_it_is_completed()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        using var socket = TcpSockets.Open();

        BeginToConnect(socket, pod.Address, listener.Port());
        Assert.True(socket.Poll(Silence.Limit, SelectMode.SelectWrite));

        AssertOne(counting.OfHost().Client, socket.RoundTrip());
    }

    [Fact]
    public void A_connect_that_sends_no_SYN_is_no_handshake()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();

        pod.Namespace.Ip("route del default");
        FailToConnect(TcpSockets.Open(pod), IPAddress.Parse("192.0.2.1"), 80, SocketError.NetworkUnreachable);
        // All its ports are used up: the kernel finds that out after it has changed the socket's state.
        pod.Namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001");
            return 0;
        });
        var opened = Snmp(pod, "ActiveOpens");
        using var host = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        host.Bind(new IPEndPoint(pod.HostAddress, 0));
        host.Listen();
        var sockets = Enumerable.Range(0, 3).Select(_ => TcpSockets.Open(pod)).ToList();
        var failures = sockets.Select(socket => Record.Exception(() => socket.Connect(pod.HostAddress, host.Port()))).OfType<SocketException>().ToList();
        sockets.ForEach(socket => socket.Dispose());

        Assert.NotEmpty(failures);
        Assert.All(failures, failure => Assert.Equal(SocketError.AddressNotAvailable, failure.SocketErrorCode));
        var client = counting.Of(pod).Client;
        Assert.Equal((ulong)(Snmp(pod, "ActiveOpens") - opened), client.Completed());
        Assert.Empty(client.Failed());
    }

    [Fact]
    public void A_server_takes_until_the_ACK_that_it_has_room_for()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        using var listener = pod.Listen(backlog: 1);
        var clients = Enumerable.Range(0, 4).Select(_ => TcpSockets.Open()).ToList();

        // One more than the backlog fits; the others' ACKs are ignored, and they know nothing of it, or their SYNs are.
        clients.ForEach(client => BeginToConnect(client, pod.Address, listener.Port()));
        clients[0].Poll(Silence.Limit, SelectMode.SelectWrite);
        clients[1].Poll(Silence.Limit, SelectMode.SelectWrite);
        Assert.True(SpinWait.SpinUntil(() => counting.Of(pod).Server.Completed() == 2, Silence.Limit));
        Assert.True(SpinWait.SpinUntil(() => NetStat(pod, "ListenOverflows") >= 2, Silence.Limit), "The backlog was not full");
        Assert.Equal(2ul, counting.Of(pod).Server.Completed());

        for (var i = 0; i < clients.Count; i++)
        {
            listener.Accept().Dispose();
        }

        Assert.Equal(4ul, counting.Of(pod).Server.Completed());
        clients.ForEach(client => client.Dispose());
        Assert.Equal(0ul, counting.AllLosses());
    }

    [Fact]
    public void A_fast_open_that_waits_for_data_takes_from_the_SYN_that_carries_them()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        File.WriteAllText("/proc/sys/net/ipv4/tcp_fastopen", "3");
        pod.Namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/tcp_fastopen", "3");
            return 0;
        });
        using var listener = pod.Listen().WithFastOpen();
        var (before, sent) = (default(HandshakeRole), default(TimeSpan));
        // The first gets the cookie.
        for (var round = 0; round < 2; round++)
        {
            using var socket = TcpSockets.Open().WithFastOpenConnect();
            socket.Connect(pod.Address, listener.Port());
            var waited = Stopwatch.StartNew();
            if (round == 1)
            {
                // No SYN has gone out yet, and none goes out while nothing is sent.
                before = counting.OfHost().Client;
                Assert.Equal(1ul, before.Completed());
                SpinWait.SpinUntil(() => waited.ElapsedMilliseconds > 300);
            }
            waited.Restart();
            socket.Send("hello"u8);
            using var accepted = listener.Accept();
            accepted.Receive(new byte[5]);
            // Each side has its own last packet, and Fast Open's data are there before either.
            Assert.True(SpinWait.SpinUntil(
                () => (counting.OfHost().Client.Completed(), counting.Of(pod).Server.Completed()) == ((ulong)round + 1, (ulong)round + 1), Silence.Limit));
            sent = waited.Elapsed;
        }

        var client = counting.OfHost().Client;
        Assert.InRange(client.Nanoseconds() - before.Nanoseconds(), 1, sent.TotalNanoseconds);
        Assert.Equal(1L, NetStat(pod, "TCPFastOpenPassive"));
    }

    [Fact]
    public void Two_ends_that_connect_to_each_other_are_two_clients()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        // Until both have sent their SYN, none arrives.
        Drop(pod, "tcp dport 7000", hook: "input");
        using var one = TcpSockets.Open();
        using var other = TcpSockets.Open(pod);
        one.Bind(new IPEndPoint(pod.HostAddress, 7001));
        other.Bind(new IPEndPoint(pod.Address, 7000));

        var waited = Time(() =>
        {
            BeginToConnect(one, pod.Address, 7000);
            BeginToConnect(other, pod.HostAddress, 7001);
            pod.Namespace.Exec("nft", "flush ruleset");
            Assert.True(one.Poll(Silence.Limit, SelectMode.SelectWrite));
            Assert.True(other.Poll(Silence.Limit, SelectMode.SelectWrite));
        });

        var (host, inside) = (counting.OfHost(), counting.Of(pod));
        Assert.Equal((1ul, 0ul, 1ul, 0ul), (host.Client.Completed(), host.Server.Total, inside.Client.Completed(), inside.Server.Total));
        Assert.InRange(host.Client.Nanoseconds(), 1ul, (ulong)waited.TotalNanoseconds);
        Assert.InRange(inside.Client.Nanoseconds(), 1ul, (ulong)waited.TotalNanoseconds);
        Assert.Equal((0ul, 0), (counting.AllLosses(), counting.CountLate()));
    }

    [Fact]
    public void A_connection_from_a_SYN_cookie_is_lost_as_untimed_where_there_are_no_timestamps()
    {
        using var counting = new HandshakeCounting();
        using var pod = new Pod().Up();
        pod.Namespace.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/tcp_syncookies", "2");
            File.WriteAllText("/proc/sys/net/ipv4/tcp_timestamps", "0");
            return 0;
        });
        using var listener = pod.Listen();
        using var socket = TcpSockets.Open();

        socket.Connect(pod.Address, listener.Port());
        using var accepted = listener.Accept();

        Assert.Equal(1L, NetStat(pod, "SyncookiesRecv"));
        Assert.Equal(1ul, counting.OfHost().Client.Completed());
        Assert.Equal(0ul, counting.Of(pod).Server.Total);
        Assert.Equal(1ul, counting.ReadLoss(HandshakeLoss.Untimed));
    }

    [Fact]
    public void More_late_handshakes_than_there_is_room_for_are_lost_and_told()
    {
        const int Room = 2, More = 3;
        using var counting = new HandshakeCounting(maxRetransmitting: Room);
        using var pod = new Pod().Up();
        using var first = pod.Listen();
        using var second = pod.Listen();
        // Those that have the room keep it until the others are over.
        Drop(pod, $"tcp dport {first.Port()}", hook: "input");
        Drop(pod, $"tcp dport {second.Port()} tcp flags & (syn|ack) == syn quota until {More * 60} bytes", hook: "input");
        var timed = BeginAll(first, Room);
        Assert.True(SpinWait.SpinUntil(() => counting.CountLate() == Room, Silence.Limit));

        CompleteAll(BeginAll(second, More));
        var resent = counting.OfHost().Client.Retransmits;
        Assert.Equal((0ul, (ulong)More), (counting.OfHost().Client.Completed(), counting.ReadLoss(HandshakeLoss.Untimed)));
        Assert.InRange(counting.ReadLoss(HandshakeLoss.LateFull), (ulong)More, resent - Room);
        pod.Namespace.Exec("nft", "flush ruleset");
        CompleteAll(timed);

        Assert.Equal((ulong)Room, counting.OfHost().Client.Completed());
        Assert.Equal(0, counting.CountLate());

        List<Socket> BeginAll(Socket listener, int count)
        {
            var clients = Enumerable.Range(0, count).Select(_ => TcpSockets.Open()).ToList();
            clients.ForEach(client => BeginToConnect(client, pod.Address, listener.Port()));
            return clients;
        }

        static void CompleteAll(List<Socket> clients)
        {
            Assert.All(clients, client => Assert.True(client.Poll(Silence.Limit, SelectMode.SelectWrite)));
            clients.ForEach(client => client.Dispose());
        }
    }

    [Fact]
    public void More_namespaces_than_there_is_room_for_are_lost_and_told()
    {
        using var counting = new HandshakeCounting(maxNamespaces: 1);
        using var pod = new Pod().Up();
        using var listener = pod.Listen();
        var connected = 0ul;

        // One of the two namespaces takes the only entry, or neither where another of the machine does, whose handshakes are lost beside ours.
        do
        {
            using var socket = TcpSockets.Open().WithReset();
            socket.Connect(pod.Address, listener.Port());
            listener.Accept().Dispose();
            connected++;
        }
        while (Counted() == 2 * connected);

        Assert.InRange(counting.ReadLoss(HandshakeLoss.MapFull), 2 * connected - Counted(), ulong.MaxValue);

        ulong Counted() => counting.OfHost().Client.Completed() + counting.Of(pod).Server.Completed();
    }

    [Fact]
    public void A_namespace_is_found_by_its_id_among_many()
    {
        // One more than fit one node of the kernel's tree.
        const int Many = 65;
        using var counting = new HandshakeCounting();
        var namespaces = new List<NetworkNamespace>();
        try
        {
            for (var i = 0; i < Many; i++)
            {
                namespaces.Add(new($"many{i}"));
                // The kernel takes the least that is free.
                Shell.Ip($"netns set {namespaces[i].Name} auto");
                Assert.Equal(Cookie(namespaces[i]), counting.Network(namespaces[i]));
            }

            Assert.All(namespaces, ns => Assert.Equal(Cookie(ns), counting.Network(ns)));
            Assert.Distinct(namespaces.Select(counting.Network));
            Assert.Equal(0ul, counting.Namespaces.Find(1 << 12));
            Assert.Equal(0ul, counting.Namespaces.Find(1 << 20));
            Assert.Equal(Cookie(null), counting.Namespaces.FindOwn());
        }
        finally
        {
            namespaces.ForEach(ns => ns.Dispose());
        }
    }

    private static void AssertOne(in HandshakeRole role, uint microseconds)
    {
        Assert.Equal((1ul, microseconds * 1000ul), (role.Completed(), role.Nanoseconds()));
        Assert.Empty(role.Failed());
    }

    /// <summary>
    /// Not longer than the caller has waited, and not shorter than the second after which the kernel sends again, by 2 %. Its stamps are
    /// in milliseconds.
    /// </summary>
    private static void AssertOneWithin(in HandshakeRole role, TimeSpan waited)
    {
        Assert.Equal(1ul, role.Completed());
        Assert.InRange(role.Nanoseconds(), 0.98e9, waited.TotalNanoseconds + 1e6);
    }

    /// <summary>Connects and wants that to fail.</summary>
    private static void FailToConnect(Socket socket, IPAddress address, int port, SocketError expected)
    {
        using (socket)
        {
            Assert.Equal(expected, Assert.Throws<SocketException>(() => socket.Connect(address, port)).SocketErrorCode);
        }
    }

    /// <summary>Begins to connect, and does not wait.</summary>
    private static void BeginToConnect(Socket socket, IPAddress address, int port)
    {
        socket.Blocking = false;
        Assert.Equal(SocketError.WouldBlock, Assert.Throws<SocketException>(() => socket.Connect(address, port)).SocketErrorCode);
    }

    private static TimeSpan Time(Action action)
    {
        var started = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(started);
    }

    private static void Drop(Pod pod, string match, string hook, string priority = "filter") => Rule(pod, $"{match} drop", hook, priority);

    private static void Rule(Pod pod, string rule, string hook, string priority = "filter") => pod.Namespace.Exec(
        "nft", $"add table inet pnt; add chain inet pnt {hook} {{ type filter hook {hook} priority {priority}; }}; add rule inet pnt {hook} {rule}");

    private static long Snmp(Pod pod, string counter) => Counter(pod, "snmp", "Tcp", counter);

    private static long NetStat(Pod pod, string counter) => Counter(pod, "netstat", "TcpExt", counter);

    private static long HostNetStat(string counter) => Counter(null, "netstat", "TcpExt", counter);

    /// <summary>/proc/net/snmp and netstat: a line of names, and one of numbers, for each group.</summary>
    private static long Counter(Pod? pod, string file, string group, string counter)
    {
        var path = $"/proc/net/{file}";
        var text = pod is null ? Shell.Run("cat", path) : pod.Namespace.Exec("cat", path);
        var lines = text.Split('\n').Where(line => line.StartsWith($"{group}:", StringComparison.Ordinal)).ToArray();
        var column = Array.IndexOf(lines[0].Split(' '), counter);
        return long.Parse(lines[1].Split(' ')[column], CultureInfo.InvariantCulture);
    }

    /// <summary>SO_NETNS_COOKIE of a socket in there, or of one here.</summary>
    private static ulong Cookie(NetworkNamespace? ns)
    {
        const int SOL_SOCKET = 1, SO_NETNS_COOKIE = 71;
        using var socket = ns?.OpenSocket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) ?? new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Span<byte> cookie = stackalloc byte[sizeof(ulong)];
        socket.GetRawSocketOption(SOL_SOCKET, SO_NETNS_COOKIE, cookie);
        return BinaryPrimitives.ReadUInt64LittleEndian(cookie);
    }
}
