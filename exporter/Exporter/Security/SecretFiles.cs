using System.Collections.Concurrent;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.Security;

/// <summary>Makes what is read from files, and counts what could not be used.</summary>
internal sealed partial class SecretFiles(IMetricFactory metrics, TimeProvider time, ILogger<SecretFiles> logger)
{
    private static readonly MetricDefinition ErrorsFamily = new(
        MetricType.Counter,
        "podnet_exporter_credential_reload_failures_total",
        "files",
        "Failed reloads of the server's certificate or credential files.",
        new MetricLabel("secret", "certificate", "bearer_token", "basic_auth"))
    {
        Query = "increase(podnet_exporter_credential_reload_failures_total[1h]) > 0",
        Details = "The previous content stays in use. Only configured files have a series.",
    };

    private readonly Counter _errors = ErrorsFamily.CreateCounter(metrics);
    private readonly ConcurrentBag<Action> _files = [];

    /// <summary>Reads all files now; one that still cannot be used is logged and counted again.</summary>
    internal static IReadOnlyList<MetricDefinition> Families => [ErrorsFamily];

    internal void ReadAgain()
    {
        foreach (var read in _files)
        {
            read();
        }
    }

    /// <param name="name">As the metric calls it.</param>
    /// <param name="key">The option, for the error at the beginning.</param>
    /// <param name="paths">Read together.</param>
    /// <param name="parse">From the texts of the files. Throws <see cref="FormatException"/>.</param>
    /// <exception cref="FormatException">They cannot be read or used.</exception>
    internal SecretFile<T> Open<T>(string name, string key, IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse)
        where T : class
    {
        var errors = _errors.WithLabels(name);
        errors.Publish();
        try
        {
            var file = new SecretFile<T>(paths, parse, time, problem =>
            {
                errors.Inc();
                LogKept(name, problem);
            });
            _files.Add(file.ReadAgain);
            return file;
        }
        catch (FormatException e)
        {
            throw new FormatException($"{key}: {e.Message}", e);
        }
    }

    [LoggerMessage(60, LogLevel.Error, "Reloading the {Name} failed, keeping the previous one: {Reason}")]
    private partial void LogKept(string name, string reason);
}
