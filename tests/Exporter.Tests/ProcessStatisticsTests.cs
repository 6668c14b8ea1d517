using System.Globalization;
using System.Text;
using Exporter.Metrics;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests;

/// <summary>What the library says of a process, and what is read instead.</summary>
public sealed class ProcessStatisticsTests
{
    private readonly CollectorRegistry _library = Prometheus.Metrics.NewCustomRegistry();
    private readonly CollectorRegistry _own = Prometheus.Metrics.NewCustomRegistry();
    private readonly FakeTimeProvider _time = new();

    public ProcessStatisticsTests()
    {
        DotNetStats.Register(_library);
        _ = new ProcessStatistics(_own, _time);
    }

    [Fact]
    public async Task Families_have_the_names_types_and_help_of_the_library_s()
    {
        Assert.Equal(Comments(await ReadAsync(_library)), Comments(await ReadAsync(_own)));

        static IEnumerable<string> Comments(string text) => text.Split('\n').Where(line => line.StartsWith('#')).Order();
    }

    [Theory]
    [InlineData("process_start_time_seconds", 1e-6)]
    [InlineData("process_cpu_seconds_total", 0.5)]
    [InlineData("process_virtual_memory_bytes", 0.2)]
    [InlineData("process_working_set_bytes", 0.5)]
    [InlineData("process_private_memory_bytes", 0.5)]
    [InlineData("process_open_handles", 0.5)]
    [InlineData("process_num_threads", 0.5)]
    [InlineData("dotnet_total_memory_bytes", 0.9)]
    [InlineData("dotnet_collection_count_total{generation=\"0\"}", 0.9)]
    public async Task Values_are_near_the_library_s(string series, double most)
    {
        GC.Collect();
        var (expected, value) = (Value(await ReadAsync(_library), series), Value(await ReadAsync(_own), series));

        Assert.NotEqual(0, value);
        Assert.InRange(value / expected, 1 - most, 1 / (1 - most));
    }

    [Fact]
    public async Task Open_files_are_counted_again_after_a_while()
    {
        var before = Value(await ReadAsync(_own), "process_open_handles");
        var files = Enumerable.Range(0, 500).Select(_ => File.OpenRead("/dev/null")).ToList();

        Assert.Equal(before, Value(await ReadAsync(_own), "process_open_handles"));
        _time.Advance(TimeSpan.FromSeconds(10));
        var after = Value(await ReadAsync(_own), "process_open_handles");

        files.ForEach(file => file.Dispose());
        Assert.InRange(after - before, 400, double.MaxValue);
    }

    private static async Task<string> ReadAsync(CollectorRegistry registry)
    {
        using var stream = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static double Value(string text, string series) =>
        double.Parse(text.Split('\n').Single(line => line.StartsWith($"{series} ", StringComparison.Ordinal)).Split(' ')[^1], CultureInfo.InvariantCulture);
}
