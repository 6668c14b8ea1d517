using System.Collections.Frozen;
using Exporter.Metrics;
using Microsoft.AspNetCore.Http.Features;
using Prometheus;

namespace Exporter.Server;

/// <summary>Counts, by reason, the connections and requests that the server refused. Used by any thread.</summary>
internal sealed class ServerRefusals : IObserver<KeyValuePair<string, object?>>
{
    /// <summary>The event that Kestrel writes for a request that it answers itself, with 400, 408, 413 or 431.</summary>
    internal const string BadRequestEvent = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private static readonly MetricDefinition Family = new(
        MetricType.Counter,
        "podnet_exporter_server_refusals_total",
        "refusals",
        "Connections and requests that the server refused or cut off.",
        new MetricLabel("reason", [.. RefusalReason.All]))
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_server_refusals_total[1h])) > 0",
        Details = "connections: closed because `Server:MaxConnections` were open; header_timeout: no complete request within `Server:HeaderTimeout`; "
            + "header_size: headers larger than `Server:MaxHeaderSize`; bad_request: not valid HTTP, or with a body, or without TLS where the server has a certificate; unauthorized: without a valid token or password; "
            + "scrapes: more scrapes at once than `Server:MaxScrapes`; pages: as many requests at once for the other pages; slow_client: the answer was not read within a minute, or while three later ones of `/metrics` were read.",
    };

    private readonly FrozenDictionary<string, Counter.Child> _counters;

    internal ServerRefusals(IMetricFactory metrics)
    {
        var counter = Family.CreateCounter(metrics);
        _counters = RefusalReason.All.ToFrozenDictionary(reason => reason, reason => counter.WithLabels(reason));
        foreach (var one in _counters.Values)
        {
            one.Publish();
        }
    }

    internal static IReadOnlyList<MetricDefinition> Families => [Family];

    internal void Count(string reason) => _counters[reason].Inc();

    internal double Read(string reason) => _counters[reason].Value;

    void IObserver<KeyValuePair<string, object?>>.OnNext(KeyValuePair<string, object?> pair)
    {
        if (pair.Value is IFeatureCollection features && features.Get<IBadRequestExceptionFeature>()?.Error is BadHttpRequestException error)
        {
            Count(error.StatusCode switch
            {
                StatusCodes.Status408RequestTimeout => RefusalReason.HeaderTimeout,
                StatusCodes.Status414UriTooLong or StatusCodes.Status431RequestHeaderFieldsTooLarge => RefusalReason.HeaderSize,
                _ => RefusalReason.BadRequest,
            });
        }
    }

    void IObserver<KeyValuePair<string, object?>>.OnCompleted()
    {
    }

    void IObserver<KeyValuePair<string, object?>>.OnError(Exception error)
    {
    }
}
