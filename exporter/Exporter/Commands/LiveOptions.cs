using Exporter.Health;
using Exporter.Options;
using Exporter.Signals;
using Microsoft.Extensions.Options;
using Prometheus;

namespace Exporter.Commands;

/// <summary>
/// The options, which may change while the program runs: the files are compared with what they were, once a second, since a ConfigMap changes
/// by a symbolic link above the file. Options that cannot be used leave the previous ones in force, and are tried again where the reason may be a file that they
/// name; those that take a restart are logged, and wait for it.
/// </summary>
internal sealed partial class LiveOptions : IOptionsMonitor<ExporterOptions>
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <summary>The loop looks, and so does a SIGHUP.</summary>
    private readonly Lock _looking = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IReadOnlyList<SignalReader>? _signals;
    private readonly Counter _errors;
    private readonly Gauge _pendingOptions;
    private readonly Dictionary<string, OptionValue> _started;
    private readonly List<Action<ExporterOptions, string?>> _listeners = [];
    private ExporterOptions _current;
    private Dictionary<string, OptionValue> _values;
    private OptionFiles _files;
    private HashSet<string> _pending = [];

    /// <summary>
    /// Why the last change was refused, where that can end without another one: a Secret comes some seconds after its ConfigMap, a key after its certificate.
    /// Null: it was not, or that cannot end.
    /// </summary>
    private string? _refusal;

    /// <param name="files">As they were when <paramref name="started"/> was read of them.</param>
    /// <param name="signals">Read the options of signals; null: of <see cref="AllSignals"/>.</param>
    internal LiveOptions(OptionFiles files, ExporterOptions started, TimeProvider time, IMetricFactory metrics, ILogger logger, IReadOnlyList<SignalReader>? signals = null)
    {
        (_files, _current, _time, _logger, _signals) = (files, started, time, logger, signals);
        _errors = ProcessMetrics.OptionErrors.CreateCounter(metrics);
        _pendingOptions = ProcessMetrics.OptionsPending.CreateGauge(metrics);
        var reader = new OptionReader(files.Configuration);
        _ = ExporterOptions.Read(reader, _signals);
        _started = _values = ValuesOf(reader, files.Configuration);
    }

    /// <summary>Applies changes that need no new object, instead of the listeners; null: nothing counts yet.</summary>
    internal Action<ExporterOptions>? ApplyInPlace { get; set; }

    public ExporterOptions CurrentValue => Volatile.Read(ref _current);

    public ExporterOptions Get(string? name) => CurrentValue;

    public IDisposable OnChange(Action<ExporterOptions, string?> listener)
    {
        lock (_listeners)
        {
            _listeners.Add(listener);
        }
        return new Listening(() =>
        {
            lock (_listeners)
            {
                _listeners.Remove(listener);
            }
        });
    }

    /// <summary>Looks at the files until it is cancelled.</summary>
    internal async Task RunAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Pause, _time);
        while (await timer.NextAsync(stopping))
        {
            Look();
        }
    }

    /// <summary>Applies the changes since the last call.</summary>
    internal void Look()
    {
        lock (_looking)
        {
            Read();
        }
    }

    private void Read()
    {
        var files = _files.Read();
        if (files != _files)
        {
            (_files, _refusal) = (files, null);
        }
        else if (_refusal is null)
        {
            return;
        }
        IReadOnlyList<string> errors = files.Error is { } error ? [error] : [];
        var isOutside = false;
        if (errors.Count == 0)
        {
            // As the next start will read them, which must not fail later because of this change.
            var reader = new OptionReader(files.Configuration);
            _ = ExporterOptions.Read(reader, _signals);
            (errors, isOutside) = (reader.Errors, reader.IsRefusedFromOutside);
            var values = ValuesOf(reader, files.Configuration);
            if (errors.Count == 0 && ReadEffective(values, out errors, out isOutside) is { } effective)
            {
                _refusal = null;
                Apply(effective, values);
                return;
            }
        }
        var refusal = string.Join("; ", errors);
        if (refusal != _refusal)
        {
            _errors.Inc();
            LogRefused(refusal);
        }
        _refusal = isOutside ? refusal : null;
    }

    /// <param name="reader">It has read all options.</param>
    private static Dictionary<string, OptionValue> ValuesOf(OptionReader reader, IConfiguration configuration) =>
        reader.Options.ToDictionary(option => option.Key, option => new OptionValue(configuration[option.Key], option.Default, option.IsLive, option.IsInPlace));

    /// <summary>The options that will be in force: live ones as they are now, every other as the program was started with it.</summary>
    /// <param name="isOutside">As <see cref="OptionReader.IsRefusedFromOutside"/>.</param>
    /// <returns>Null: these together cannot be used, although they can be with those that wait for a restart.</returns>
    private ExporterOptions? ReadEffective(Dictionary<string, OptionValue> values, out IReadOnlyList<string> errors, out bool isOutside)
    {
        var effective = values.ToDictionary(value => value.Key, value => (value.Value.IsLive ? value.Value : _started[value.Key]).Text);
        var reader = new OptionReader(new ConfigurationBuilder().AddInMemoryCollection(effective).Build());
        var options = ExporterOptions.Read(reader, _signals);
        errors = [.. reader.Errors.Select(error => $"until a restart puts the other changes in force: {error}")];
        isOutside = reader.IsRefusedFromOutside;
        return errors.Count == 0 ? options : null;
    }

    private void Apply(ExporterOptions effective, Dictionary<string, OptionValue> values)
    {
        _pending = [.. values.Where(value => !value.Value.IsLive && !value.Value.IsSame(_started[value.Key])).Select(value => value.Key)];
        _pendingOptions.Set(_pending.Count);
        foreach (var key in _pending.Where(key => !values[key].IsSame(_values[key])))
        {
            LogPending(key);
        }
        List<string> applied = [.. values.Where(value => value.Value.IsLive && !value.Value.IsSame(_values[value.Key])).Select(value => value.Key)];
        _values = values;
        if (applied.Count == 0)
        {
            return;
        }
        Volatile.Write(ref _current, effective);
        LogApplied(string.Join(", ", applied));
        if (ApplyInPlace is { } apply && applied.TrueForAll(key => values[key].IsInPlace))
        {
            apply(effective);
            return;
        }
        lock (_listeners)
        {
            // A copy: one that is called may end its listening.
            _listeners.ToList().ForEach(listener => listener(_current, null));
        }
    }

    [LoggerMessage(80, LogLevel.Information, "Applied changed options: {Keys}")]
    private partial void LogApplied(string keys);

    [LoggerMessage(81, LogLevel.Warning, "{Key} has changed; the change applies at the next start")]
    private partial void LogPending(string key);

    [LoggerMessage(82, LogLevel.Error, "Reloading the options failed, keeping the previous ones: {Errors}")]
    private partial void LogRefused(string errors);

    /// <param name="Text">Null: it is not set.</param>
    /// <param name="IsLive">Whether a change is in force at once, and does not wait for a restart.</param>
    /// <param name="IsInPlace">As <see cref="OptionDescription.IsInPlace"/>.</param>
    private readonly record struct OptionValue(string? Text, string Default, bool IsLive, bool IsInPlace)
    {
        internal bool IsSame(OptionValue other) => (Text ?? Default) == (other.Text ?? other.Default);
    }

    private sealed class Listening(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
