using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace Exporter.Tests;

/// <summary>What the exporter concludes, at its end, from the API server's answer about its DaemonSet.</summary>
public sealed class DaemonSetApiTests : IAsyncLifetime
{
    private const string NotFound =
        """{"kind":"Status","apiVersion":"v1","status":"Failure","message":"daemonsets.apps \"podnet\" not found","reason":"NotFound","details":{"name":"podnet","group":"apps","kind":"daemonsets"},"code":404}""";

    private static readonly DaemonSetReference Own = new("monitoring", "podnet", "uid-1");

    private ApiServer _server = null!;
    private ApiConnection _connection = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await ApiServer.CreateAsync();
        _connection = new(TestOptions.Read(("Kubernetes:Kubeconfig", _server.Files.Kubeconfig)).Kubernetes);
    }

    public async ValueTask DisposeAsync()
    {
        _connection.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-1"}}""", "Present")]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-2"}}""", "Replaced")]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-2","deletionTimestamp":"2026-11-28T12:00:00Z","finalizers":["orphan"]}}""", "Replaced")]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-1","deletionTimestamp":"2026-11-28T12:00:00Z"}}""", "Deleting")]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-1","deletionTimestamp":"2026-11-28T12:00:00Z","finalizers":["foregroundDeletion"]}}""", "Deleting")]
    [InlineData("""{"kind":"DaemonSet","metadata":{"uid":"uid-1","deletionTimestamp":"2026-11-28T12:00:00Z","finalizers":["orphan"]}}""", "Present")]
    public async Task What_is_there_decides(string body, string state)
    {
        Answer(StatusCodes.Status200OK, body);

        Assert.Equal(state, (await FindAsync()).State.ToString());
        var request = Assert.Single(_server.Requests);
        Assert.Equal("/apis/apps/v1/namespaces/monitoring/daemonsets/podnet", request.Path);
    }

    [Fact]
    public async Task What_is_not_found_was_deleted()
    {
        Answer(StatusCodes.Status404NotFound, NotFound);

        Assert.Equal(DaemonSetState.Deleted, (await FindAsync()).State);
    }

    [Theory]
    [InlineData(404, "404 page not found")]
    [InlineData(404, """{"kind":"Status","reason":"NotFound","details":{"name":"monitoring","kind":"namespaces"},"code":404}""")]
    [InlineData(404, """{"kind":"Status","reason":"NotFound","details":{},"code":404}""")]
    [InlineData(404, """{"kind":"DaemonSet","metadata":{"uid":"uid-2"}}""")]
    [InlineData(200, "<html>sign in</html>")]
    [InlineData(200, "{}")]
    [InlineData(200, """{"kind":"DaemonSet","metadata":{}}""")]
    [InlineData(200, """{"kind":"Status","reason":"NotFound","details":{"name":"podnet","kind":"daemonsets"},"code":404}""")]
    [InlineData(500, "{}")]
    [InlineData(429, "{}")]
    public async Task An_answer_that_is_not_the_API_servers_word_on_it_decides_nothing(int status, string body)
    {
        Answer(status, body, times: int.MaxValue);

        var (state, reason) = await FindAsync(TimeSpan.FromSeconds(2));

        Assert.Equal(DaemonSetState.Unknown, state);
        Assert.NotEmpty(reason);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task A_refusal_decides_nothing_and_is_not_tried_again(int status)
    {
        Answer(status, "{}", times: int.MaxValue);

        Assert.Equal((DaemonSetState.Unknown, $"it answers {status}"), await FindAsync());

        Assert.Single(_server.Requests);
    }

    [Fact]
    public async Task A_server_in_trouble_is_asked_again()
    {
        Answer(StatusCodes.Status503ServiceUnavailable, "{}");
        Answer(StatusCodes.Status404NotFound, NotFound);

        Assert.Equal(DaemonSetState.Deleted, (await FindAsync()).State);
    }

    [Fact]
    public async Task A_silent_server_is_given_up()
    {
        _server.IsSilent = true;

        Assert.Equal((DaemonSetState.Unknown, "it does not answer"), await FindAsync(TimeSpan.FromMilliseconds(300)));

        _server.IsSilent = false;
    }

    private async Task<(DaemonSetState State, string Reason)> FindAsync(TimeSpan? patience = null)
    {
        using var over = new CancellationTokenSource(patience ?? TimeSpan.FromSeconds(60));
        return await new DaemonSetApi(_connection.SendAsync, _connection.Server).FindAsync(Own, over.Token);
    }

    private void Answer(int status, string body, int times = 1) => _server.Handle(
        request => request.Path.Contains("/daemonsets/", StringComparison.Ordinal),
        context =>
        {
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            return context.Response.WriteAsync(body);
        },
        times);
}
