using Exporter.Bpf;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>How full a map is.</summary>
/// <param name="Entries">When it was last read.</param>
internal sealed record MapUsage(string Name, int MaxEntries, Func<int> Entries);

/// <summary>The families about the BPF programs and maps themselves.</summary>
internal sealed class BpfMetrics
{
    private static readonly MetricDefinition ProgramRuns = new(
        MetricType.Counter, "podnet_exporter_bpf_program_runs_total", "runs", "Runs of a BPF program, while the kernel's BPF statistics are on.", new MetricLabel("program"))
    {
        Query = "sum by (program) (rate(podnet_exporter_bpf_program_runs_total[5m]))",
        Details = "They are on with `Bpf:RunStatistics`, or the sysctl `kernel.bpf_stats_enabled`.",
    };

    private static readonly MetricDefinition ProgramRunTime = new(
        MetricType.Counter, "podnet_exporter_bpf_program_run_seconds_total", "seconds", "Run time of a BPF program, while the kernel's BPF statistics are on.", new MetricLabel("program"))
    {
        Query = "rate(podnet_exporter_bpf_program_run_seconds_total[5m]) / rate(podnet_exporter_bpf_program_runs_total[5m])",
    };

    private static readonly MetricDefinition ProgramMisses = new(
        MetricType.Counter, "podnet_exporter_bpf_program_misses_total", "runs", "Runs of a BPF program that the kernel skipped, as far as it reports them.", new MetricLabel("program"))
    {
        Query = "sum by (instance, program) (increase(podnet_exporter_bpf_program_misses_total[1h])) > 0",
        Details = "For kprobes the kernel reports them since Linux 6.7.",
    };

    private readonly IReadOnlyList<Func<IReadOnlyList<BpfProgram>>> _programs;
    private readonly IReadOnlyList<MapUsage> _maps;
    private readonly Counter _runs;
    private readonly Counter _runTime;
    private readonly Counter _misses;
    private readonly Dictionary<string, ProgramSeries> _series = [];
    private readonly Gauge.Child[] _entryGauges;

    /// <param name="programs">The programs of each object, which may be replaced.</param>
    public BpfMetrics(IMetricFactory metrics, IReadOnlyList<Func<IReadOnlyList<BpfProgram>>> programs, IReadOnlyList<MapUsage> maps)
    {
        _programs = programs;
        _maps = maps;
        _runs = ProgramRuns.CreateCounter(metrics);
        _runTime = ProgramRunTime.CreateCounter(metrics);
        _misses = ProgramMisses.CreateCounter(metrics);
        IReadOnlyList<string> names = [.. maps.Select(map => map.Name)];
        var entries = EntriesOf(names).CreateGauge(metrics);
        _entryGauges = [.. maps.Select(map => entries.WithLabels(map.Name))];
        var maxEntries = MaxEntriesOf(names).CreateGauge(metrics);
        foreach (var map in maps)
        {
            maxEntries.WithLabels(map.Name).Set(map.MaxEntries);
        }
    }

    /// <param name="maps">The names of the maps whose use is shown.</param>
    internal static IReadOnlyList<MetricDefinition> FamiliesOf(IReadOnlyList<string> maps) => [ProgramRuns, ProgramRunTime, ProgramMisses, EntriesOf(maps), MaxEntriesOf(maps)];

    /// <exception cref="BpfException">The kernel refused.</exception>
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

    private static MetricDefinition EntriesOf(IReadOnlyList<string> maps) => new(
        MetricType.Gauge, "podnet_exporter_bpf_map_entries", "entries", "Entries of a BPF map when it was last read.", new MetricLabel("map", [.. maps]))
    {
        Query = "podnet_exporter_bpf_map_entries / podnet_exporter_bpf_map_max_entries > 0.8",
    };

    private static MetricDefinition MaxEntriesOf(IReadOnlyList<string> maps) => new(
        MetricType.Gauge, "podnet_exporter_bpf_map_max_entries", "entries", "Entries that a BPF map has room for.", new MetricLabel("map", [.. maps]))
    {
        Query = "podnet_exporter_bpf_map_max_entries",
    };

    private void Update(BpfProgram program)
    {
        if (!_series.TryGetValue(program.Name, out var series))
        {
            _series[program.Name] = series = new(_runs.WithLabels(program.Name), _runTime.WithLabels(program.Name), _misses.WithLabels(program.Name));
        }
        series.Update(program.Id, program.ReadStatistics());
    }

    /// <summary>Series of a program, and of the programs that take its place.</summary>
    internal sealed class ProgramSeries(Counter.Child runs, Counter.Child runTime, Counter.Child misses)
    {
        /// <summary>By the program's id: one whose replacement is undone continues where it was.</summary>
        private readonly Dictionary<int, ProgramStatistics> _last = [];

        internal void Update(int id, in ProgramStatistics now)
        {
            // Another one begins at zero.
            var last = _last.GetValueOrDefault(id);
            runs.Inc(now.Runs - last.Runs);
            runTime.Inc((now.RunTime - last.RunTime).TotalSeconds);
            misses.Inc(now.Misses - last.Misses);
            _last[id] = now;
        }
    }
}
