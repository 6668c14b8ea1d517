using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Exporter.Tests.Kubernetes;

/// <summary>
/// A Kubernetes API server on loopback, as far as pods are concerned: HTTP/1.1 over TLS. Answers from its cluster, or with recorded
/// answers, or goes wrong as it is told.
/// </summary>
internal sealed class ApiServer : IAsyncDisposable
{

    private readonly Lock _lock = new();
    private readonly List<ApiRequest> _requests = [];
    private readonly List<(Func<ApiRequest, bool> Matches, TaskCompletionSource<ApiRequest> Found)> _awaited = [];
    private readonly List<Answer> _answers = [];
    private readonly List<(Fault Fault, int Left)> _faults = [];
    private readonly ConcurrentDictionary<string, Socket> _connections = new();
    private readonly ConcurrentQueue<Exception> _failures = new();
    private readonly Certificates _certificates = new();
    private readonly long _made = Stopwatch.GetTimestamp();
    private readonly PodEndpoints _pods;
    private TaskCompletionSource? _silence;
    private WebApplication? _application;
    private volatile bool _isStopping;

    private ApiServer(Cluster cluster, TimeProvider time)
    {
        Cluster = cluster;
        _pods = new(cluster, time);
        Files = new(_certificates.Authority.ExportCertificatePem());
    }

    internal Cluster Cluster { get; }

    internal int Port { get; private set; }

    internal Uri Address => new($"https://127.0.0.1:{Port}");

    /// <summary>What a client is configured with.</summary>
    internal ClientFiles Files { get; }

    /// <summary>Any other is answered with 401, none at all with 403.</summary>
    internal string AcceptedToken { get; set; } = "token-1";

    /// <summary>Connections are accepted and nothing is said on them, not even the TLS handshake. Once it is false again those are answered.</summary>
    internal bool IsSilent
    {
        get => _silence is not null;
        set
        {
            var before = Interlocked.Exchange(ref _silence, value ? new(TaskCreationOptions.RunContinuationsAsynchronously) : null);
            before?.TrySetResult();
        }
    }

    internal int OpenConnections => _connections.Count;

    /// <summary>In the order of their arrival.</summary>
    internal IReadOnlyList<ApiRequest> Requests
    {
        get
        {
            lock (_lock)
            {
                return [.. _requests];
            }
        }
    }

    /// <summary>What broke in the server itself, by its own fault.</summary>
    internal IReadOnlyCollection<Exception> Failures => _failures;

    /// <param name="time">For timeoutSeconds.</param>
    internal static async Task<ApiServer> CreateAsync(Cluster? cluster = null, TimeProvider? time = null)
    {
        var server = new ApiServer(cluster ?? new(), time ?? TimeProvider.System);
        server.Files.WriteToken(server.AcceptedToken);
        await server.StartAsync();
        return server;
    }

    /// <summary>Listens; again on the port that it had.</summary>
    internal async Task StartAsync()
    {
        _isStopping = false;
        while (_application is null)
        {
            // Below the ports that the kernel gives to clients: while it is down no connection to it can get its own port.
            var port = Port > 0 ? Port : Random.Shared.Next(20_000, 32_000);
            var application = Build(port);
            try
            {
                await application.StartAsync();
                _application = application;
                Port = port;
                Files.WriteKubeconfigs(Address);
            }
            catch (IOException) when (Port == 0)
            {
                await application.DisposeAsync();
            }
        }
    }

    /// <summary>As when it is killed: connections break off, new ones are refused.</summary>
    /// <param name="gracefully">As with SIGTERM: new connections are refused, and it is over when the last open watch has ended.</param>
    internal async Task StopAsync(bool gracefully = false)
    {
        if (_application is { } application)
        {
            _isStopping = true;
            var stopped = application.StopAsync();
            if (!gracefully)
            {
                KillConnections();
            }
            await stopped;
            await application.DisposeAsync();
            _application = null;
        }
    }

    /// <summary>Breaks off every open connection, without an ending of TLS or HTTP.</summary>
    /// <param name="reset">With an RST instead of a FIN.</param>
    internal void KillConnections(bool reset = false)
    {
        foreach (var socket in _connections.Values)
        {
            socket.Break(reset);
        }
    }

    /// <summary>As the kubelet rotates it: the file has the new one, and the old one is not accepted any more.</summary>
    internal void RotateToken(string token)
    {
        AcceptedToken = token;
        Files.WriteToken(token);
    }

    /// <summary>The next requests of their kinds are answered with these, each with one.</summary>
    internal void Enqueue(params ReadOnlySpan<Transcript> transcripts)
    {
        foreach (var transcript in transcripts)
        {
            Enqueue(transcript, pace: null);
        }
    }

    /// <param name="pace">The clock by which everything is sent when it was recorded; null to send it at once.</param>
    /// <param name="when">The requests that it answers, if not those of its kind.</param>
    internal void Enqueue(Transcript transcript, TimeProvider? pace, Func<ApiRequest, bool>? when = null) =>
        Handle(when ?? transcript.Answers, context => transcript.ReplayAsync(context, pace));

    /// <summary>Answers the next such requests, before anything else does. What is told first has precedence.</summary>
    internal void Handle(Func<ApiRequest, bool> when, Func<HttpContext, Task> answer, int times = 1)
    {
        lock (_lock)
        {
            _answers.Add(new(when, answer) { Left = times });
        }
    }

    /// <summary>
    /// The next requests that it concerns have this fault, for all of their life. Without a number all have it, the open watches
    /// too from their next event on, until the faults are cleared.
    /// </summary>
    internal void Inject(Fault fault, int? times = null)
    {
        lock (_lock)
        {
            _faults.Add((fault, times ?? int.MaxValue));
        }
    }

    internal void ClearFaults()
    {
        lock (_lock)
        {
            _faults.Clear();
        }
    }

    /// <summary>Answers by itself again.</summary>
    internal void ClearAnswers()
    {
        lock (_lock)
        {
            _answers.Clear();
        }
    }

    /// <summary>The first such request, of those that came already or the first that comes.</summary>
    /// <param name="after">Only later ones than this, by their numbers.</param>
    internal async Task<ApiRequest> WaitForRequestAsync(Func<ApiRequest, bool> matches, int after = 0)
    {
        TaskCompletionSource<ApiRequest> found = new(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            if (_requests.Skip(after).FirstOrDefault(matches) is { } request)
            {
                return request;
            }
            _awaited.Add((candidate => candidate.Number > after && matches(candidate), found));
        }
        try
        {
            return await found.Task.WaitAsync(Silence.Limit);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"No such request came, only:\n{string.Join('\n', Requests)}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        Files.Dispose();
        _certificates.Dispose();
    }

    private WebApplication Build(int port)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Services.AddSingleton<IHostLifetime, Lifetime>();
        // A write is over when the socket has it, so that a connection can be broken off at a given byte.
        builder.Services.Configure<SocketTransportOptions>(transport => transport.MaxWriteBufferSize = 2);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Listen(IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use(next => connection => ConnectAsync(connection, next));
                listen.UseHttps(_certificates.Server);
            });
        });
        var application = builder.Build();
        application.Run(AnswerAsync);
        return application;
    }

    private async Task ConnectAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var socket = connection.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
        _connections[connection.ConnectionId] = socket;
        try
        {
            if (_isStopping)
            {
                socket.Break(reset: true);
            }
            if (_silence is { } silence)
            {
                await silence.Task.WaitAsync(connection.ConnectionClosed);
            }
            await next(connection);
        }
        catch (OperationCanceledException) when (connection.ConnectionClosed.IsCancellationRequested)
        {
        }
        finally
        {
            _connections.TryRemove(connection.ConnectionId, out _);
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var (request, answer) = Receive(context);
        try
        {
            await answer(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
        }
        catch (ApiFailure failure) when (!context.Response.HasStarted)
        {
            await PodEndpoints.FailAsync(context, failure);
        }
        catch (Exception failure)
        {
            _failures.Enqueue(failure);
            throw;
        }
        finally
        {
            request.End();
        }
    }

    private (ApiRequest Request, Func<HttpContext, Task> Answer) Receive(HttpContext context)
    {
        lock (_lock)
        {
            var request = new ApiRequest(_requests.Count + 1, Stopwatch.GetElapsedTime(_made), context);
            _requests.Add(request);
            foreach (var awaited in _awaited.FindAll(awaited => awaited.Matches(request)))
            {
                awaited.Found.TrySetResult(request);
                _awaited.Remove(awaited);
            }
            if (_answers.Find(answer => answer.Matches(request)) is not { } answer)
            {
                var fault = TakeFault(request);
                return (request, _ => ServeAsync(context, request, fault));
            }
            if (--answer.Left == 0)
            {
                _answers.Remove(answer);
            }
            return (request, answer.Send);
        }
    }

    /// <returns>Null when no fault is meant for this request alone.</returns>
    private Fault? TakeFault(ApiRequest request)
    {
        var index = _faults.FindIndex(fault => fault.Left < int.MaxValue && fault.Fault.Concerns(request));
        if (index < 0)
        {
            return null;
        }
        var (taken, left) = _faults[index];
        _faults.RemoveAt(index);
        if (left > 1)
        {
            _faults.Insert(index, (taken, left - 1));
        }
        return taken;
    }

    private Fault LastingFault(ApiRequest request)
    {
        lock (_lock)
        {
            return _faults.Find(fault => fault.Left == int.MaxValue && fault.Fault.Concerns(request)).Fault ?? Fault.None;
        }
    }

    private Task ServeAsync(HttpContext context, ApiRequest request, Fault? own)
    {
        var fault = own ?? LastingFault(request);
        return
            fault.Break == Breaking.Unanswered ? context.StaySilentAsync()
            : fault.Status > 0 ? throw ApiFailure.Of(fault.Status, request.IsWatch, fault.RetryAfter)
            : request.HasAuthorization && request.Token != AcceptedToken ? throw ApiFailure.Unauthorized()
            : !request.HasAuthorization ? throw ApiFailure.Forbidden(request.IsWatch, "system:anonymous")
            : request.IsWatch ? _pods.WatchAsync(context, request, () => own ?? LastingFault(request))
            : request.IsList ? _pods.ListAsync(context, request, fault)
            : throw ApiFailure.NotFound();
    }

    private sealed record Answer(Func<ApiRequest, bool> Matches, Func<HttpContext, Task> Send)
    {
        internal int Left { get; set; }
    }

    /// <summary>Leaves signals to the test runner.</summary>
    private sealed class Lifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
