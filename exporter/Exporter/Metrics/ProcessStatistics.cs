using System.Buffers.Text;
using System.Diagnostics;
using Prometheus;

namespace Exporter.Metrics;

/// <summary>
/// The families process_* and dotnet_* of prometheus-net (DotNetStats), with their names and help, read from two files (proc(5)): the library opens one for each
/// thread and looks at each open file twice, and every scrape would wait for that.
/// </summary>
internal sealed class ProcessStatistics
{
    /// <summary>Where fields of /proc/self/stat are after the command, which may have blanks and is in parentheses: the state is 0.</summary>
    private const int ThreadsAt = 17;

    /// <summary>Where fields of /proc/self/statm are, in pages.</summary>
    private const int VirtualAt = 0, ResidentAt = 1, DataAt = 5;

    /// <summary>Open files have to be counted one by one.</summary>
    private static readonly TimeSpan HandlesInterval = TimeSpan.FromSeconds(10);

    private readonly FileStream _stat = Open("/proc/self/stat");
    private readonly FileStream _statm = Open("/proc/self/statm");
    private readonly byte[] _buffer = new byte[1024];
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly Counter _cpu;
    private readonly Gauge _virtual, _resident, _data, _handles, _threads, _heap;
    private readonly Counter.Child[] _collections;
    private long? _handlesAt;

    /// <param name="registry">Asks for the values when it is collected, from any thread.</param>
    internal ProcessStatistics(CollectorRegistry registry, TimeProvider time)
    {
        _time = time;
        var factory = Prometheus.Metrics.WithCustomRegistry(registry);
        var collections = factory.CreateCounter("dotnet_collection_count_total", "GC collection count", "generation");
        _collections = [.. Enumerable.Range(0, GC.MaxGeneration + 1).Select(generation => collections.WithLabels($"{generation}"))];
        using var process = Process.GetCurrentProcess();
        factory.CreateGauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.")
            .Set((process.StartTime.ToUniversalTime() - DateTime.UnixEpoch).TotalSeconds);
        _cpu = factory.CreateCounter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
        _virtual = factory.CreateGauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
        _resident = factory.CreateGauge("process_working_set_bytes", "Process working set");
        _data = factory.CreateGauge("process_private_memory_bytes", "Process private memory size");
        _handles = factory.CreateGauge("process_open_handles", "Number of open handles");
        _threads = factory.CreateGauge("process_num_threads", "Total number of threads");
        _heap = factory.CreateGauge("dotnet_total_memory_bytes", "Total known allocated memory");
        registry.AddBeforeCollectCallback(Read);
    }

    private void Read()
    {
        lock (_lock)
        {
            for (var generation = 0; generation < _collections.Length; generation++)
            {
                _collections[generation].IncTo(GC.CollectionCount(generation));
            }
            _heap.Set(GC.GetTotalMemory(false));
            _cpu.IncTo(Environment.CpuUsage.TotalTime.TotalSeconds);
            var stat = ReadFile(_stat);
            _threads.Set(Field(stat[(stat.LastIndexOf((byte)')') + 2)..], ThreadsAt));
            var statm = ReadFile(_statm);
            _virtual.Set(Field(statm, VirtualAt) * (double)Environment.SystemPageSize);
            _resident.Set(Field(statm, ResidentAt) * (double)Environment.SystemPageSize);
            _data.Set(Field(statm, DataAt) * (double)Environment.SystemPageSize);
            if (_handlesAt is not { } at || _time.GetElapsedTime(at) >= HandlesInterval)
            {
                _handlesAt = _time.GetTimestamp();
                using var process = Process.GetCurrentProcess();
                _handles.Set(process.HandleCount);
            }
        }
    }

    private static FileStream Open(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);

    /// <summary>The kernel writes the file when it is read from its beginning.</summary>
    private ReadOnlySpan<byte> ReadFile(FileStream file) => _buffer.AsSpan(0, RandomAccess.Read(file.SafeFileHandle, _buffer, 0));

    private static long Field(ReadOnlySpan<byte> line, int number)
    {
        foreach (var range in line.Split((byte)' '))
        {
            if (number-- == 0)
            {
                return Utf8Parser.TryParse(line[range], out long value, out _) ? value : 0;
            }
        }
        return 0;
    }
}
