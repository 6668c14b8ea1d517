using System.Collections.Frozen;
using Exporter.Metrics;
using Microsoft.AspNetCore.Http.Features;
using Prometheus;

namespace Exporter.Server;

/// <summary>Counts, by reason, the connections and requests that the server refused. Any thread may call it.</summary>
internal sealed class ServerRefusals : IObserver<KeyValuePair<string, object?>>
{
    /// <summary>The event that Kestrel writes for a request that it answers itself, with 400, 408, 413 or 431.</summary>
    internal const string BadRequestEvent = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    private readonly FrozenDictionary<string, Counter.Child> _counters;

    internal ServerRefusals(IMetricFactory metrics)
    {
        var counter = ExporterFamilies.ServerRefusals.CreateCounter(metrics);
        _counters = RefusalReason.All.ToFrozenDictionary(reason => reason, reason => counter.WithLabels(reason));
        foreach (var one in _counters.Values)
        {
            one.Publish();
        }
    }

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
