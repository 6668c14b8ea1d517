using System.Collections.Concurrent;
using Exporter.Metrics;
using Prometheus;

namespace Exporter.Security;

/// <summary>Makes what is read from files, and counts what could not be used.</summary>
internal sealed partial class SecretFiles(TimeProvider time, ILogger<SecretFiles> logger)
{
    private readonly ConcurrentDictionary<string, ulong> _errors = [];
    private readonly ConcurrentBag<Action> _files = [];
    private Counter? _counter;

    /// <summary>Reads all files now; one that still cannot be used is logged and counted again.</summary>
    internal void ReadAgain()
    {
        foreach (var read in _files)
        {
            read();
        }
    }

    /// <summary>Shows what was counted in these metrics, from now on in these alone.</summary>
    internal void ShowIn(IMetricFactory metrics)
    {
        var counter = ExporterFamilies.SecretErrors.CreateCounter(metrics);
        foreach (var (name, errors) in _errors)
        {
            counter.WithLabels(name).IncTo(errors);
            counter.WithLabels(name).Publish();
        }
        Volatile.Write(ref _counter, counter);
    }

    /// <param name="name">As the metric calls it.</param>
    /// <param name="key">The option, for the error at the beginning.</param>
    /// <param name="paths">Read together.</param>
    /// <param name="parse">From the texts of the files. Throws <see cref="FormatException"/>.</param>
    /// <exception cref="FormatException">They cannot be read or used.</exception>
    internal SecretFile<T> Open<T>(string name, string key, IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse)
        where T : class
    {
        _errors[name] = 0;
        try
        {
            var file = new SecretFile<T>(paths, parse, time, problem =>
            {
                _counter?.WithLabels(name).IncTo(_errors.AddOrUpdate(name, 1, static (_, errors) => errors + 1));
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

    [LoggerMessage(60, LogLevel.Error, "The {Name} has changed and cannot be used, the former stays in force: {Reason}")]
    private partial void LogKept(string name, string reason);
}

/// <summary>
/// What is in a file, or in some that belong together. Whoever asks gets what is in them now, or a second ago: contents are compared, since
/// a Secret that Kubernetes mounts changes by a symbolic link above the file. What cannot be used leaves the former in force.
/// </summary>
internal sealed class SecretFile<T>
    where T : class
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly IReadOnlyList<string> _paths;
    private readonly Func<IReadOnlyList<string>, T> _parse;
    private readonly TimeProvider _time;
    private readonly Action<string> _tellProblem;

    /// <summary>Who finds it taken uses what there is.</summary>
    private readonly Lock _lock = new();
    private long _lookedAt;

    /// <summary>What was read last; null: what is read next is taken as new.</summary>
    private IReadOnlyList<string>? _texts;
    private T _current;

    /// <param name="tellProblem">Called once for each content that cannot be used.</param>
    /// <exception cref="FormatException">The content at the beginning cannot be used.</exception>
    internal SecretFile(IReadOnlyList<string> paths, Func<IReadOnlyList<string>, T> parse, TimeProvider time, Action<string> tellProblem)
    {
        (_paths, _parse, _time, _tellProblem) = (paths, parse, time, tellProblem);
        _lookedAt = time.GetTimestamp();
        _texts = Read(paths);
        _current = parse(_texts);
    }

    internal T Current
    {
        get
        {
            if (_time.GetElapsedTime(Volatile.Read(ref _lookedAt)) >= Pause && _lock.TryEnter())
            {
                try
                {
                    Look();
                }
                finally
                {
                    _lock.Exit();
                }
            }
            return Volatile.Read(ref _current);
        }
    }

    /// <summary>Reads the files now, changed or not.</summary>
    internal void ReadAgain()
    {
        lock (_lock)
        {
            _texts = null;
            Look();
        }
    }

    private void Look()
    {
        Volatile.Write(ref _lookedAt, _time.GetTimestamp());
        IReadOnlyList<string> texts = [];
        try
        {
            texts = Read(_paths);
            if (IsNew())
            {
                Volatile.Write(ref _current, _parse(texts));
            }
        }
        catch (FormatException e) when (IsNew())
        {
            _tellProblem(e.Message);
        }
        catch (FormatException)
        {
            // As the last time.
        }
        _texts = texts;

        bool IsNew() => _texts is null || !texts.SequenceEqual(_texts);
    }

    private static string[] Read(IReadOnlyList<string> paths)
    {
        var texts = new string[paths.Count];
        for (var i = 0; i < texts.Length; i++)
        {
            try
            {
                texts[i] = File.ReadAllText(paths[i]);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new FormatException($"{paths[i]} cannot be read: {e.Message}", e);
            }
        }
        return texts;
    }
}
