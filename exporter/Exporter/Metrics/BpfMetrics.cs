using Exporter.Bpf;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>How full a map is.</summary>
/// <param name="Entries">When it was last read.</param>
internal sealed record MapUsage(string Name, int MaxEntries, Func<int> Entries);

/// <summary>The families about the BPF programs and maps themselves.</summary>
internal sealed class BpfMetrics
{
    private readonly IReadOnlyList<Func<IReadOnlyList<BpfProgram>>> _programs;
    private readonly IReadOnlyList<MapUsage> _maps;
    private readonly Counter _runs;
    private readonly Counter _runTime;
    private readonly Counter _misses;
    private readonly Dictionary<string, ProgramSeries> _series = [];
    private readonly Gauge.Child[] _entryGauges;

    /// <param name="programs">Those of each object, which may be replaced.</param>
    public BpfMetrics(IMetricFactory metrics, IReadOnlyList<Func<IReadOnlyList<BpfProgram>>> programs, IReadOnlyList<MapUsage> maps)
    {
        _programs = programs;
        _maps = maps;
        _runs = ExporterFamilies.ProgramRuns.CreateCounter(metrics);
        _runTime = ExporterFamilies.ProgramRunTime.CreateCounter(metrics);
        _misses = ExporterFamilies.ProgramMisses.CreateCounter(metrics);
        var entries = ExporterFamilies.MapEntries.CreateGauge(metrics);
        _entryGauges = [.. maps.Select(map => entries.WithLabels(map.Name))];
        var maxEntries = ExporterFamilies.MapMaxEntries.CreateGauge(metrics);
        foreach (var map in maps)
        {
            maxEntries.WithLabels(map.Name).Set(map.MaxEntries);
        }
    }

    /// <exception cref="BpfException">The kernel does not tell.</exception>
    internal void Update()
    {
        for (var list = 0; list < _programs.Count; list++)
        {
            var programs = _programs[list]();
            for (var i = 0; i < programs.Count; i++)
            {
                Update(programs[i]);
            }
        }
        for (var i = 0; i < _maps.Count; i++)
        {
            _entryGauges[i].Set(_maps[i].Entries());
        }
    }

    private void Update(BpfProgram program)
    {
        if (!_series.TryGetValue(program.Name, out var series))
        {
            _series[program.Name] = series = new(_runs.WithLabels(program.Name), _runTime.WithLabels(program.Name), _misses.WithLabels(program.Name));
        }
        series.Update(program.Id, program.ReadStatistics());
    }

    /// <summary>A program's, and those of the programs that take its place.</summary>
    private sealed class ProgramSeries(Counter.Child runs, Counter.Child runTime, Counter.Child misses)
    {
        private int _id;
        private ProgramStatistics _last;

        internal void Update(int id, in ProgramStatistics now)
        {
            // Another one begins at zero.
            var last = id == _id ? _last : default;
            runs.Inc(now.Runs - last.Runs);
            runTime.Inc((now.RunTime - last.RunTime).TotalSeconds);
            misses.Inc(now.Misses - last.Misses);
            (_id, _last) = (id, now);
        }
    }
}
