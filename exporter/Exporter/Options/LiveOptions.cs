using System.Text;
using Exporter.Metrics;
using Microsoft.Extensions.Options;
using Prometheus;

namespace Exporter.Options;

/// <summary>
/// The options, which may change while the program runs: the files are compared with what they were, once a second, since a ConfigMap changes
/// by a symbolic link above the file. What cannot be used leaves the former in force; what takes a restart is told, and waits for it.
/// </summary>
internal sealed partial class LiveOptions : IOptionsMonitor<ExporterOptions>
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>Sections and keys whose options are applied while the program runs; every other takes a restart.</summary>
    private static readonly string[] Live = ["Drain:", "Metrics:", "Identity:Wait", "Attach:Include", "Attach:Exclude", "Attach:CheckInterval"];

    private readonly OptionFiles _files;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ExporterOptions _started;
    private readonly Dictionary<string, string?> _startedValues;
    private readonly List<Action<ExporterOptions, string?>> _listeners = [];
    private ExporterOptions _current;
    private Dictionary<string, string?> _values;
    private string _seen;
    private HashSet<string> _pending = [];
    private ulong _errors;
    private Counter? _errorCounter;
    private Gauge? _pendingGauge;

    /// <param name="files">As they were when <paramref name="started"/> was read of them.</param>
    internal LiveOptions(OptionFiles files, ExporterOptions started, TimeProvider time, ILogger logger)
    {
        (_files, _started, _current, _time, _logger) = (files, started, started, time, logger);
        _seen = files.Content;
        _startedValues = _values = ValuesOf(files.Configuration);
    }

    public ExporterOptions CurrentValue => Volatile.Read(ref _current);

    public ExporterOptions Get(string? name) => CurrentValue;

    public IDisposable OnChange(Action<ExporterOptions, string?> listener)
    {
        _listeners.Add(listener);
        return new Listening(() => _listeners.Remove(listener));
    }

    /// <summary>Looks at the files until it is cancelled.</summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Pause, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping))
            {
                Look();
            }
        }
        catch (OperationCanceledException)
        {
            // The program ends.
        }
    }

    /// <summary>Shows its metrics in these as well, and from now on in these alone.</summary>
    internal void ShowIn(IMetricFactory metrics)
    {
        _errorCounter = ExporterFamilies.OptionErrors.CreateCounter(metrics);
        _errorCounter.IncTo(_errors);
        _pendingGauge = ExporterFamilies.OptionsPending.CreateGauge(metrics);
        _pendingGauge.Set(_pending.Count);
    }

    /// <summary>Applies what has changed since the last call.</summary>
    internal void Look()
    {
        var files = _files.Read();
        if (files.Content == _seen)
        {
            return;
        }
        _seen = files.Content;
        IReadOnlyList<string> errors = files.Error is { } error ? [error] : [];
        if (errors.Count == 0)
        {
            var reader = new OptionReader(files.Configuration);
            var next = ExporterOptions.Read(reader);
            errors = reader.Errors;
            if (errors.Count == 0)
            {
                Apply(next, ValuesOf(files.Configuration));
                return;
            }
        }
        _errors++;
        _errorCounter?.Inc();
        LogRefused(string.Join("; ", errors));
    }

    private static bool IsLive(string key) => Live.Any(live => key.StartsWith(live, StringComparison.OrdinalIgnoreCase));

    private static Dictionary<string, string?> ValuesOf(IConfiguration configuration)
    {
        var reader = new OptionReader(configuration);
        _ = ExporterOptions.Read(reader);
        return reader.Options.ToDictionary(option => option.Key, option => (string?)(configuration[option.Key] ?? option.Default));
    }

    private void Apply(ExporterOptions next, Dictionary<string, string?> values)
    {
        _pending = [.. values.Where(value => !IsLive(value.Key) && value.Value != _startedValues[value.Key]).Select(value => value.Key)];
        _pendingGauge?.Set(_pending.Count);
        foreach (var key in _pending.Where(key => values[key] != _values[key]))
        {
            LogPending(key);
        }
        List<string> applied = [.. values.Where(value => IsLive(value.Key) && value.Value != _values[value.Key]).Select(value => value.Key)];
        _values = values;
        if (applied.Count == 0)
        {
            return;
        }
        // Whatever else is in the files, this is what the program was started with, and what may change.
        Volatile.Write(ref _current, _started with
        {
            Attach = _started.Attach with { Include = next.Attach.Include, Exclude = next.Attach.Exclude, CheckInterval = next.Attach.CheckInterval },
            Drain = next.Drain,
            Identity = _started.Identity with { Wait = next.Identity.Wait },
            Metrics = next.Metrics,
        });
        LogApplied(string.Join(", ", applied));
        _listeners.ForEach(listener => listener(_current, null));
    }

    [LoggerMessage(80, LogLevel.Information, "These options have changed, and are in force: {Keys}")]
    private partial void LogApplied(string keys);

    [LoggerMessage(81, LogLevel.Warning, "{Key} has changed, and will be in force after the next start")]
    private partial void LogPending(string key);

    [LoggerMessage(82, LogLevel.Error, "The options have changed and cannot be used, the former stay in force: {Errors}")]
    private partial void LogRefused(string errors);

    private sealed class Listening(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}

/// <summary>Where options come from: files, the environment, the command line, each before those that it wins over.</summary>
/// <param name="Content">What the files have in them.</param>
/// <param name="Error">Why they cannot be read; null where they can.</param>
internal sealed record OptionFiles(IReadOnlyDictionary<string, string?> CommandLine, IConfiguration Configuration, string Content, string? Error)
{
    internal const string FileKey = "Options:File";

    private const string Prefix = "PODNET__";

    /// <summary>Reads them anew.</summary>
    internal OptionFiles Read() => Read(CommandLine);

    internal static OptionFiles Read(IReadOnlyDictionary<string, string?> commandLine)
    {
        // The file cannot name itself.
        var named = Build(commandLine, [])[FileKey];
        var content = new StringBuilder();
        var layers = new List<byte[]>();
        string? error = null;
        foreach (var (path, isOptional) in ((string, bool)[])[(Path.Combine(AppContext.BaseDirectory, "appsettings.json"), true), .. string.IsNullOrEmpty(named) ? Array.Empty<(string, bool)>() : [(named, false)]])
        {
            try
            {
                var bytes = File.ReadAllBytes(path);
                content.Append(path).Append('\0').Append(Convert.ToBase64String(bytes)).Append('\0');
                layers.Add(bytes);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                if (!isOptional || e is not (FileNotFoundException or DirectoryNotFoundException))
                {
                    error ??= $"{(isOptional ? path : FileKey)}: {e.Message}";
                }
            }
        }
        try
        {
            var configuration = Build(commandLine, layers);
            return new(commandLine, configuration, content.ToString(), error ?? (configuration[FileKey] == named ? null : $"{FileKey}: cannot be set in a file"));
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or System.Text.Json.JsonException)
        {
            return new(commandLine, Build(commandLine, []), content.ToString(), $"{named ?? "appsettings.json"}: {e.Message} {e.InnerException?.Message}".TrimEnd());
        }
    }

    private static IConfigurationRoot Build(IReadOnlyDictionary<string, string?> commandLine, IEnumerable<byte[]> layers)
    {
        var builder = new ConfigurationBuilder();
        foreach (var layer in layers)
        {
            builder.AddJsonStream(new MemoryStream(layer));
        }
        return builder.AddEnvironmentVariables(Prefix).AddInMemoryCollection(commandLine).Build();
    }
}
