using System.Collections.Concurrent;
using Exporter.Health;
using Exporter.Metrics;
using Exporter.Options;
using Prometheus;

namespace Exporter.Server.Security;

/// <summary>Opens the server's certificate and credential files, and counts failed reloads.</summary>
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

    internal static IReadOnlyList<MetricDefinition> Families => [ErrorsFamily];

    /// <summary>Reads all files now. A file that still cannot be used is logged and counted again.</summary>
    internal void ReadAgain()
    {
        foreach (var read in _files)
        {
            read();
        }
    }

    /// <summary>Refuses an option whose files cannot be read or used.</summary>
    /// <param name="parse">As of <see cref="Open"/>.</param>
    internal static void Check<T>(OptionReader reader, string key, IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse)
        where T : class
    {
        // A pipe can be read once, and that is the server's.
        if (!paths.All(FileWatch.CanBeReadAgain))
        {
            return;
        }
        try
        {
            _ = new SecretFile<T>(paths, parse, TimeProvider.System, static _ => { });
        }
        catch (FormatException e)
        {
            reader.Refuse(key, e.Message, isOutside: true);
        }
    }

    /// <param name="name">The value of the metric's label.</param>
    /// <param name="key">The option that names the file, for the error of the first read.</param>
    /// <param name="paths">The files, which are read together.</param>
    /// <param name="parse">Creates the content from the texts of the files. Throws <see cref="FormatException"/>.</param>
    /// <exception cref="FormatException">The files cannot be read or used.</exception>
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
