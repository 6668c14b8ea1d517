using System.Net;
using System.Net.Sockets;
using Exporter.Metrics;
using Exporter.Server;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Exporter.Tests;

/// <summary>What clients that are many, slow or large can and cannot do to the real server, over real sockets.</summary>
public sealed class ServerLimitTests
{
    private const int Max = 16;

    private static readonly (string, string?) Connections = ("Server:MaxConnections", "16");

    [Theory]
    [InlineData("")]
    [InlineData("GET /metrics HT")]
    [InlineData("GET /healthz HTTP/1.1\r\nHost: half\r\n")]
    public async Task The_oldest_connection_without_a_request_makes_room_for_a_probe(string sent)
    {
        await using var server = await RunningServer.StartAsync(Connections);
        server.Serve();
        var halfOpen = new List<Socket>();
        for (var i = 0; i < 10 * Max; i++)
        {
            halfOpen.Add(await server.ConnectAsync(sent));
        }

        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/healthz")).StatusCode);

        foreach (var oldest in halfOpen[..^(Max - 1)])
        {
            Assert.Equal("", await RunningServer.ReadToEndAsync(oldest));
        }
        Assert.All(halfOpen[^(Max - 1)..], newest => Assert.True(RunningServer.IsOpen(newest)));
        Assert.Equal((10 * Max) + 1 - Max, server[RefusalReason.Connections]);
    }

    [Fact]
    public async Task Clients_that_begin_TLS_handshakes_and_do_not_go_on_keep_no_probe_out()
    {
        using var certificates = new Certificates();
        using var files = new CertificateFiles(certificates.Server);
        await using var server = await RunningServer.StartAsync([Connections, .. files.Settings]);
        server.Serve();
        var hello = await ClientHello.RecordAsync();
        for (var i = 0; i < 10 * Max; i++)
        {
            var halfOpen = await server.ConnectAsync();
            await halfOpen.SendAsync(hello.AsMemory(0, i % 2 == 0 ? hello.Length : hello.Length / 2));
        }

        Assert.Equal(HttpStatusCode.OK, await ProbeByTlsAsync(server));
        Assert.True(server[RefusalReason.Connections] >= 8 * Max);
    }

    [Theory]
    [InlineData("\u0016\u0003\u0001\0\u0001\u0001")]
    [InlineData("\u0015\u0003\u0001\0\u0002\u0001\0")]
    [InlineData("G")]
    public async Task Clients_that_send_less_than_a_client_hello_take_no_handshake_from_others(string sent)
    {
        using var certificates = new Certificates();
        using var files = new CertificateFiles(certificates.Server);
        await using var server = await RunningServer.StartAsync([("Server:HeaderTimeout", "00:05:00"), .. files.Settings]);
        server.Serve();
        for (var i = 0; i < 4 * Max; i++)
        {
            await server.ConnectAsync(sent);
        }

        Assert.Equal(HttpStatusCode.OK, await ProbeByTlsAsync(server));
    }

    [Theory]
    [InlineData("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n", 1)]
    [InlineData("\u0015\u0003\u0001\0\u0002\u0001\0", 1)]
    [InlineData("\u0016\u0003\u0001", 0)]
    [InlineData("", 0)]
    public async Task A_client_that_does_not_speak_TLS_where_it_has_to_is_refused_and_counted(string sent, int refused)
    {
        using var certificates = new Certificates();
        using var files = new CertificateFiles(certificates.Server);
        await using var server = await RunningServer.StartAsync(files.Settings);
        server.Serve();
        var client = await server.ConnectAsync(sent);

        client.Shutdown(SocketShutdown.Send);

        Assert.Equal("", await RunningServer.ReadToEndAsync(client));
        Assert.Equal(HttpStatusCode.OK, await ProbeByTlsAsync(server));
        Assert.Equal(refused, server[RefusalReason.BadRequest]);
    }

    [Fact]
    public async Task Handshakes_that_the_server_does_not_get_to_are_closed_after_the_header_timeout()
    {
        var hello = await ClientHello.RecordAsync();
        using var files = new CertificateFiles();
        var options = TestOptions.Read([("Server:Urls", "https://127.0.0.1:0"), .. files.Settings, Connections]).Server;
        var (time, refusals) = (new FakeTimeProvider(), new ServerRefusals(new OwnMetrics().Factory));
        using var gate = new ConnectionGate(options, refusals, time, NullLogger<ConnectionGate>.Instance);
        // Nobody takes what it hands over.
        await using var door = await new GatedListenerFactory(gate, NullLoggerFactory.Instance).BindAsync(new IPEndPoint(IPAddress.Loopback, 0));
        var clients = new List<Socket>();
        for (var i = 0; i < Max; i++)
        {
            clients.Add(new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            await clients[i].ConnectAsync(door.EndPoint);
            await clients[i].SendAsync(hello);
        }
        // The last one takes the place of one that waits, and is accepted a moment after that is closed: its time begins then.
        clients.Add(new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        await clients[^1].ConnectAsync(door.EndPoint);
        await RunningServer.UntilAsync(() => Task.FromResult(refusals.Read(RefusalReason.Connections) == 1));

        time.Advance(options.HeaderTimeout);
        Assert.InRange(refusals.Read(RefusalReason.HeaderTimeout), Max - 1, Max);
        await RunningServer.UntilAsync(() =>
        {
            time.Advance(options.HeaderTimeout);
            return Task.FromResult(refusals.Read(RefusalReason.HeaderTimeout) == Max);
        });

        foreach (var client in clients)
        {
            Assert.Equal("", await RunningServer.ReadToEndAsync(client));
            client.Dispose();
        }
        Assert.Equal(Max, refusals.Read(RefusalReason.HeaderTimeout));
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("", true)]
    [InlineData("GET /healthz HTTP/1.1\r\nHost: check\r\n", false)]
    [InlineData("GET /healthz HTTP/1.1\r\nHost: check\r\n", true)]
    public async Task A_client_that_closes_its_connection_without_a_request_is_forgotten_and_not_refused(string sent, bool resets)
    {
        await using var server = await RunningServer.StartAsync(Connections);
        server.Serve();
        for (var i = 0; i < 4 * Max; i++)
        {
            var check = await server.ConnectAsync(sent);
            check.LingerState = new(resets, 0);
            check.Close();
        }
        // The others are closed once a later one has its answer.
        await server.AskAndStayAsync("/healthz");

        server.Time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal((0, 0), (server[RefusalReason.HeaderTimeout], server[RefusalReason.Connections]));
    }

    [Fact]
    public async Task Connections_that_have_finished_a_request_are_closed_last_the_one_that_is_idle_for_longest_first()
    {
        await using var server = await RunningServer.StartAsync(Connections);
        server.Serve();
        var first = await server.AskAndStayAsync("/healthz");
        var second = await server.AskAndStayAsync("/healthz");
        var halfOpen = await server.ConnectAsync();
        for (var i = 3; i < Max; i++)
        {
            await server.AskAndStayAsync("/healthz");
        }

        await server.AskAndStayAsync("/healthz");
        Assert.Equal("", await RunningServer.ReadToEndAsync(halfOpen));
        Assert.True(RunningServer.IsOpen(first));
        await server.AskAndStayAsync("/healthz");
        Assert.Equal("", await RunningServer.ReadToEndAsync(first));
        Assert.True(RunningServer.IsOpen(second));
    }

    [Fact]
    public async Task A_connection_is_refused_while_every_other_one_runs_a_request()
    {
        await using var server = await RunningServer.StartAsync(Connections);
        var probes = await RunRequestsEverywhereAsync(server);

        Assert.Equal("", await RunningServer.ReadToEndAsync(await server.ConnectAsync()));
        Assert.Equal(1, server[RefusalReason.Connections]);

        server.Serve();
        Assert.All(await Task.WhenAll(probes), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/healthz")).StatusCode);
    }

    [Fact]
    public async Task Many_connections_are_refused_at_once_while_every_other_one_runs_a_request()
    {
        await using var server = await RunningServer.StartAsync(Connections);
        var probes = await RunRequestsEverywhereAsync(server);
        var refused = new List<Task<string>>();
        for (var i = 0; i < 1000; i++)
        {
            refused.Add(RunningServer.ReadToEndAsync(await server.ConnectAsync()));
        }

        Assert.All(await Task.WhenAll(refused), answer => Assert.Equal("", answer));
        Assert.Equal(1000, server[RefusalReason.Connections]);
        server.Serve();
        Assert.All(await Task.WhenAll(probes), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
    }

    [Theory]
    [InlineData("")]
    [InlineData("GET /healthz HTTP/1.1\r\nHost: slow\r\n")]
    public async Task A_connection_without_a_complete_request_is_closed_after_the_header_timeout(string sent)
    {
        await using var server = await RunningServer.StartAsync(("Server:HeaderTimeout", "00:00:20"));
        server.Serve();
        var idle = await server.AskAndStayAsync("/healthz");
        var slow = await server.ConnectAsync(sent);
        // It is accepted once a later one has its answer.
        await server.AskAndStayAsync("/healthz");

        server.Time.Advance(TimeSpan.FromSeconds(19));
        Assert.True(RunningServer.IsOpen(slow));
        server.Time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal("", await RunningServer.ReadToEndAsync(slow));
        Assert.Equal(1, server[RefusalReason.HeaderTimeout]);
        Assert.True(RunningServer.IsOpen(idle));
    }

    [Fact]
    public async Task Headers_that_are_too_large_and_requests_that_are_not_HTTP_are_refused_and_counted()
    {
        await using var server = await RunningServer.StartAsync(("Server:MaxHeaderSize", "4096"));
        server.Serve();

        foreach (var (request, status, reason, count) in ((string, string, string, double)[])
            [
                ($"GET /healthz HTTP/1.1\r\nHost: test\r\nX-Large: {new string('x', 4096)}\r\n\r\n", "431", RefusalReason.HeaderSize, 1),
                ($"GET /{new string('x', 4096)} HTTP/1.1\r\nHost: test\r\n\r\n", "414", RefusalReason.HeaderSize, 2),
                ("nonsense\r\n\r\n", "400", RefusalReason.BadRequest, 1),
                ("GET /healthz HTTP/1.1\r\n\r\n", "400", RefusalReason.BadRequest, 2),
            ])
        {
            var answer = await RunningServer.ReadToEndAsync(await server.ConnectAsync(request));
            Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
            Assert.Equal((request[..10], count), (request[..10], server[reason]));
        }
        Assert.Equal(HttpStatusCode.OK, (await server.Http.GetAsync("/healthz")).StatusCode);
    }

    [Theory]
    [InlineData("/metrics", RefusalReason.Scrapes)]
    [InlineData("/api/v1/pods", RefusalReason.Pages)]
    [InlineData("/", RefusalReason.Pages)]
    public async Task More_requests_at_once_than_allowed_get_503_and_when_to_try_again(string path, string reason)
    {
        await using var server = await RunningServer.StartAsync(("Server:MaxScrapes", "2"));
        var requests = Enumerable.Range(0, 5).Select(_ => server.Http.GetAsync(path)).ToList();

        // Nothing is served yet: two wait for that, and the others do not wait.
        for (var refused = 0; refused < 3; refused++)
        {
            var done = await Task.WhenAny(requests);
            requests.Remove(done);
            var answer = await done;
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "1"), (answer.StatusCode, answer.Headers.RetryAfter?.ToString()));
        }
        Assert.Equal(3, server[reason]);
        Assert.All(requests, waiting => Assert.False(waiting.IsCompleted));

        var probe = server.Http.GetAsync("/healthz");
        server.Serve();
        Assert.Equal(HttpStatusCode.OK, (await probe).StatusCode);
        foreach (var waiting in requests)
        {
            Assert.NotEqual(HttpStatusCode.ServiceUnavailable, (await waiting).StatusCode);
        }
        Assert.NotEqual(HttpStatusCode.ServiceUnavailable, (await server.Http.GetAsync(path)).StatusCode);
        Assert.Contains($"podnet_exporter_server_refusals_total{{reason=\"{reason}\"}} 3\n", await server.Http.GetStringAsync("/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_does_not_read_its_answer_is_cut_off_and_another_gets_its_slot()
    {
        await using var server = await RunningServer.StartAsync(("Server:MaxScrapes", "1"));
        server.Serve("large", 64 << 20);
        var slow = await server.ConnectAsync("GET /api/v1/large HTTP/1.1\r\nHost: slow\r\n\r\n");
        await RunningServer.UntilAsync(async () => (await server.Http.GetAsync("/api/v1/large")).StatusCode == HttpStatusCode.ServiceUnavailable);
        Assert.Equal(0, server[RefusalReason.SlowClient]);

        await RunningServer.UntilAsync(() =>
        {
            // The slot is taken a moment before its time begins.
            server.Time.Advance(RequestSlots.MaxDuration);
            return Task.FromResult(server[RefusalReason.SlowClient] == 1);
        });

        await RunningServer.ReadToEndAsync(slow);
        await RunningServer.UntilAsync(async () => (await server.Http.GetAsync("/api/v1/large")).StatusCode == HttpStatusCode.OK);
        Assert.Equal(1, server[RefusalReason.SlowClient]);
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/api/v1/pods")]
    public async Task A_request_that_waits_for_the_server_to_start_is_not_taken_for_a_slow_client(string path)
    {
        await using var server = await RunningServer.StartAsync(("Server:MaxScrapes", "1"));
        var waiting = server.Http.GetAsync(path);
        // Another one may be the first to arrive, and waits then.
        var other = server.Http.GetAsync(path);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await await Task.WhenAny(waiting, other)).StatusCode);
        waiting = waiting.IsCompleted ? other : waiting;

        server.Time.Advance(2 * RequestSlots.MaxDuration);
        server.Serve();

        Assert.NotEqual(HttpStatusCode.ServiceUnavailable, (await waiting).StatusCode);
        Assert.Equal(0, server[RefusalReason.SlowClient]);
    }

    [Fact]
    public async Task An_end_closes_connections_without_a_request_and_does_not_wait_for_them()
    {
        var server = await RunningServer.StartAsync(Connections);
        server.Serve();
        var halfOpen = await server.ConnectAsync("GET /metrics HTTP/1.1\r\n");
        var idle = await server.AskAndStayAsync("/healthz");

        // Begun before the end, which closes this end of the connections as well.
        var (ofHalfOpen, ofIdle) = (RunningServer.ReadToEndAsync(halfOpen), RunningServer.ReadToEndAsync(idle));

        await server.DisposeAsync();

        Assert.Equal(("", ""), (await ofHalfOpen, await ofIdle));
    }

    /// <summary>Each of the connections that there may be runs a request, which waits for something to be served.</summary>
    private static async Task<List<Task<HttpResponseMessage>>> RunRequestsEverywhereAsync(RunningServer server)
    {
        var probes = new List<Task<HttpResponseMessage>>();
        while (probes.Count < Max)
        {
            probes.Add(server.Http.GetAsync("/healthz"));
            await RunningServer.UntilAsync(() => Task.FromResult(server.RunningRequests == probes.Count));
        }
        return probes;
    }

    private static async Task<HttpStatusCode> ProbeByTlsAsync(RunningServer server)
    {
#pragma warning disable CA5359 // The server's certificate was made a moment ago, by this test.
        using var handler = new HttpClientHandler { ServerCertificateCustomValidationCallback = (_, _, _, _) => true };
#pragma warning restore CA5359
        using var http = new HttpClient(handler) { BaseAddress = server.Address };
        return (await http.GetAsync("/healthz")).StatusCode;
    }
}
