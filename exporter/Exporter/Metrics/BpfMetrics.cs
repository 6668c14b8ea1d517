using Exporter.Bpf;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>How full a map is.</summary>
/// <param name="Entries">When it was last read.</param>
internal sealed record MapUsage(string Name, int MaxEntries, Func<int> Entries);

/// <summary>The families about the BPF programs and maps themselves.</summary>
internal sealed class BpfMetrics
{
    private readonly IReadOnlyList<IReadOnlyList<BpfProgram>> _programs;
    private readonly IReadOnlyList<MapUsage> _maps;
    private readonly Counter _runs;
    private readonly Counter _runTime;
    private readonly Counter _misses;
    private readonly Dictionary<BpfProgram, (Counter.Child Runs, Counter.Child RunTime, Counter.Child Misses)> _series = [];
    private readonly Gauge.Child[] _entryGauges;

    /// <param name="programs">Lists that may grow.</param>
    public BpfMetrics(IMetricFactory metrics, IReadOnlyList<IReadOnlyList<BpfProgram>> programs, IReadOnlyList<MapUsage> maps)
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
            for (var i = 0; i < _programs[list].Count; i++)
            {
                Update(_programs[list][i]);
            }
        }
        for (var i = 0; i < _maps.Count; i++)
        {
            _entryGauges[i].Set(_maps[i].Entries());
        }
    }

    private void Update(BpfProgram program)
    {
        if (!_series.TryGetValue(program, out var series))
        {
            _series[program] = series = (_runs.WithLabels(program.Name), _runTime.WithLabels(program.Name), _misses.WithLabels(program.Name));
        }
        var statistics = program.ReadStatistics();
        series.Runs.IncTo(statistics.Runs);
        series.RunTime.IncTo(statistics.RunTime.TotalSeconds);
        series.Misses.IncTo(statistics.Misses);
    }
}
