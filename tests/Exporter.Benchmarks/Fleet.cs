using System.Diagnostics;
using Exporter.Commands;
using Exporter.Health;
using Exporter.Kubernetes;
using Exporter.Options;
using Exporter.Tests.Kubernetes;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;

namespace Exporter.Benchmarks;

/// <summary>What the API server gets from many nodes whose exporters start at once, and when it comes back after an outage: each node's own watch, over TLS.</summary>
internal static class Fleet
{
    private const int Nodes = 200;
    private static readonly TimeSpan Outage = TimeSpan.FromSeconds(30);

    internal static async Task RunAsync()
    {
        Table.Begin($"{Nodes} nodes and one API server");
        await using var server = await ApiServer.CreateAsync();
        var nodes = Enumerable.Range(0, Nodes).Select(number => new Watcher(server, $"worker-{number}")).ToList();
        try
        {
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(nodes.Select(async (node, number) =>
            {
                await Task.Delay(TimeSpan.FromSeconds((double)number / Nodes));
                await node.StartAsync();
            }));
            nodes.ForEach(node => SpinUntil(() => node.IsCurrent));
            Table.Row("blind at the start, the last node of all", (Stopwatch.GetElapsedTime(started) - TimeSpan.FromSeconds(1)).TotalSeconds, " s", most: 5);
            ShowRequests("started in one second", server.Requests, lists: 1);

            await server.StopAsync();
            nodes.ForEach(node => SpinUntil(() => !node.IsCurrent));
            await Task.Delay(Outage);
            var before = server.Requests.Count;
            await server.StartAsync();
            var returned = Stopwatch.GetTimestamp();
            nodes.ForEach(node => SpinUntil(() => node.IsCurrent));
            Table.Row($"blind after the API server's return from {Outage.TotalSeconds} s, the last node of all", Stopwatch.GetElapsedTime(returned).TotalSeconds, " s", most: (Watcher.Wait / 2).TotalSeconds + 2);
            ShowRequests("after its return", [.. server.Requests.Skip(before)], lists: 1);
        }
        finally
        {
            await Task.WhenAll(nodes.Select(node => node.DisposeAsync().AsTask()));
        }
    }

    private static void ShowRequests(string when, IReadOnlyList<ApiRequest> requests, int lists)
    {
        var byNode = requests.GroupBy(request => request["fieldSelector"]).ToList();
        Table.Row($"lists, {when}, most of a node", byNode.Max(node => node.Count(request => request.IsList)), "", most: lists);
        Table.Row($"watches, {when}, most of a node", byNode.Max(node => node.Count(request => request.IsWatch)), "", most: 1);
        // Windows of a second from each request on.
        var busiest = requests.Max(first => requests.Where(request => request.IsList == first.IsList).Count(request => request.At >= first.At && request.At < first.At + TimeSpan.FromSeconds(1)));
        Table.Row($"lists or watches, {when}, most in a second", busiest, "", most: Nodes / 3);
    }

    private static void SpinUntil(Func<bool> isSo)
    {
        while (!isSo())
        {
            Thread.Sleep(10);
        }
    }

    /// <summary>A node's watch of its pods, with a connection of its own.</summary>
    private sealed class Watcher : IAsyncDisposable
    {
        private readonly ApiConnection _connection;
        private readonly PodStore _store;
        private readonly ResourceWatch<PodDocument> _watch;

        internal Watcher(ApiServer server, string name)
        {
            var options = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder()
                .AddInMemoryCollection([new("Kubernetes:NodeName", name), new("Kubernetes:Kubeconfig", server.Files.Kubeconfig)]).Build()));
            Wait = options.Identity.HoldFor;
            _connection = new(options.Kubernetes);
            _store = new(TimeProvider.System, options.Identity.HoldFor);
            var metrics = new KubernetesMetrics(Prometheus.Metrics.WithCustomRegistry(Prometheus.Metrics.NewCustomRegistry()));
            var feed = new PodFeed(name, _store, new ChangeSignal(), metrics, TimeProvider.System, NullLogger.Instance);
            _watch = new(
                new(_connection.SendAsync, _connection.Server, PodDocument.OfNode(name)), feed, feed.Requests, metrics.PodWatch, new LoopHealth(TimeProvider.System), new Readiness(), TimeProvider.System, NullLogger.Instance);
        }

        internal static TimeSpan Wait { get; private set; }

        internal bool IsCurrent => _store.CurrentSince is not null;

        internal Task StartAsync() => _watch.StartAsync(CancellationToken.None);

        public async ValueTask DisposeAsync()
        {
            await _watch.StopAsync(CancellationToken.None);
            _watch.Dispose();
            _connection.Dispose();
        }
    }
}
