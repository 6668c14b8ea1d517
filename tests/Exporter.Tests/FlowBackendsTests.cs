using System.Net;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Backends behind Services' addresses, as conntrack knows them when an interval ends.</summary>
public sealed class FlowBackendsTests
{
    private const byte Tcp = 6, Udp = 17, Sctp = 132;

    /// <summary>The longest pause between two questions for a connection that conntrack does not know.</summary>
    private const int LongestPause = 8;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly PodInterface _client = CountingNode.NewInterface(1, 1);
    private readonly PodInterface _other = CountingNode.NewInterface(2, 2);

    /// <summary>What conntrack has; null: it fails.</summary>
    private readonly Dictionary<FlowKey, string?> _entries = [];

    private readonly List<FlowKey> _questions = [];

    [Fact]
    public void The_backend_of_a_TCP_connection_is_asked_for_once()
    {
        var backends = NewBackends();
        var key = Key(1, Tcp);
        _entries[key] = "10.244.1.3";

        Assert.Equal("10.244.1.3:8080", See(backends, key, isNew: true));
        _entries.Remove(key);
        Assert.All(Enumerable.Range(0, 50), _ => Assert.Equal("10.244.1.3:8080", See(backends, key)));

        Assert.Single(_questions);
    }

    [Fact]
    public void The_next_connection_of_a_tuple_has_its_own_backend_or_none()
    {
        var backends = NewBackends();
        var key = Key(1, Tcp);
        _entries[key] = "10.244.1.3";
        See(backends, key, isNew: true);

        _entries[key] = "10.244.1.4";
        Assert.Equal("10.244.1.4:8080", See(backends, key, isNew: true));
        _entries.Remove(key);
        Assert.Null(See(backends, key, isNew: true));
    }

    /// <summary>No packet of these shows that another backend has taken over: kube-proxy removes the entry, and the next packet makes another.</summary>
    [Theory]
    [InlineData(Udp)]
    [InlineData(Sctp)]
    public void A_conversation_that_never_ends_has_the_backend_of_now(byte protocol)
    {
        var backends = NewBackends();
        var key = Key(1, protocol);
        _entries[key] = "10.244.1.3";
        Assert.Equal("10.244.1.3:8080", See(backends, key, isNew: true));
        Assert.Equal("10.244.1.3:8080", See(backends, key));

        _entries[key] = "10.244.1.4";

        Assert.Equal("10.244.1.4:8080", See(backends, key));
        _entries.Remove(key);
        Assert.Null(See(backends, key));
    }

    [Theory]
    [InlineData(Tcp)]
    [InlineData(Udp)]
    public void A_backend_that_conntrack_knows_only_later_is_found_in_the_next_interval(byte protocol)
    {
        var backends = NewBackends();
        var key = Key(1, protocol);
        Assert.Null(See(backends, key, isNew: true));

        _entries[key] = "10.244.1.3";

        Assert.Equal("10.244.1.3:8080", See(backends, key));
    }

    /// <summary>Its entry was made before the Service had a backend, and is not translated.</summary>
    [Theory]
    [InlineData(Tcp)]
    [InlineData(Udp)]
    public void An_entry_that_translates_only_later_is_found(byte protocol)
    {
        var backends = NewBackends();
        var key = Key(1, protocol);
        _entries[key] = "10.96.0.5";
        Assert.Null(See(backends, key, isNew: true));

        _entries[key] = "10.244.1.3";

        Assert.Equal("10.244.1.3:8080", See(backends, key));
    }

    [Fact]
    public void A_connection_that_conntrack_never_knows_is_asked_for_ever_less_often_and_never_given_up()
    {
        var backends = NewBackends();
        var key = Key(1, Tcp);
        List<int> askedIn = [];
        for (var interval = 0; interval < 100; interval++)
        {
            var before = _questions.Count;
            See(backends, key, isNew: interval == 0);
            if (_questions.Count > before)
            {
                askedIn.Add(interval);
            }
        }

        Assert.Equal([0, 1, 3, 7, 15, 23, 31], askedIn.Take(7));
        Assert.All(askedIn.Zip(askedIn.Skip(1)), pair => Assert.InRange(pair.Second - pair.First, 1, LongestPause));
        _entries[key] = "10.244.1.3";
        Assert.Contains("10.244.1.3:8080", Enumerable.Range(0, LongestPause).Select(_ => See(backends, key)));
    }

    [Fact]
    public void A_question_that_fails_takes_no_backend_away_and_is_put_again()
    {
        var backends = NewBackends();
        var key = Key(1, Udp);
        _entries[key] = "10.244.1.3";
        See(backends, key, isNew: true);

        _entries[key] = null;
        Assert.Equal("10.244.1.3:8080", See(backends, key));
        _entries[key] = "10.244.1.4";

        Assert.Equal("10.244.1.4:8080", See(backends, key));
    }

    [Fact]
    public void Connections_that_have_no_answer_yet_come_before_those_that_are_asked_for_again()
    {
        var backends = NewBackends(perSecond: 2);
        var (known, first, second) = (Key(1, Udp), Key(2, Tcp), Key(3, Tcp));
        (_entries[known], _entries[first], _entries[second]) = ("10.244.1.3", "10.244.1.4", "10.244.1.5");
        See(backends, known, isNew: true);
        _questions.Clear();

        backends.Begin();
        backends.Want(known, _client, isNew: false);
        backends.Want(first, _client, isNew: true);
        backends.Want(second, _client, isNew: true);
        backends.Ask(Interval);

        Assert.Equal([first, second], _questions);
        Assert.Equal("10.244.1.3:8080", Find(backends, known));
    }

    [Fact]
    public void A_pod_with_many_questions_leaves_others_theirs_also_those_put_again()
    {
        var backends = NewBackends(perSecond: 4);
        var known = Key(1, Udp);
        _entries[known] = "10.244.1.3";
        See(backends, known, isNew: true);
        _entries[known] = "10.244.1.4";

        backends.Begin();
        for (var number = 0; number < 100; number++)
        {
            backends.Want(Key(100 + number, Tcp), _other, isNew: true);
        }
        backends.Want(known, _client, isNew: false);
        backends.Ask(Interval);

        Assert.Equal("10.244.1.4:8080", Find(backends, known));
    }

    private FlowBackends NewBackends(int perSecond = 1000) =>
        new(perSecond, room: 1000, Answer, new(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry())));

    /// <summary>An interval in which the flow had packets. Returns its backend in the record.</summary>
    private string? See(FlowBackends backends, FlowKey key, bool isNew = false)
    {
        backends.Begin();
        backends.Want(key, _client, isNew);
        backends.Ask(Interval);
        return Find(backends, key);
    }

    private static string? Find(FlowBackends backends, FlowKey key) => backends.TryFind(key, out var address, out var port) ? $"{address}:{port}" : null;

    private ConntrackResult Answer(in FlowKey key, Span<byte> backend, out ushort port)
    {
        port = 8080;
        _questions.Add(key);
        if (!_entries.TryGetValue(key, out var address))
        {
            return ConntrackResult.NotFound;
        }
        IPAddress.Parse(address ?? throw new NetlinkException("ask conntrack for a connection", 5)).GetAddressBytes().CopyTo(backend);
        return ConntrackResult.Found;
    }

    private static FlowKey Key(int number, byte protocol)
    {
        var key = new FlowKey { Ifindex = 1, Family = FlowKey.Ipv4, Protocol = protocol, LocalPort = (ushort)number, RemotePort = 80 };
        ((ReadOnlySpan<byte>)[10, 244, 1, 2]).CopyTo((Span<byte>)key.Local);
        ((ReadOnlySpan<byte>)[10, 96, 0, 5]).CopyTo((Span<byte>)key.Remote);
        return key;
    }
}
