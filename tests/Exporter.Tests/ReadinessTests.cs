using Exporter.Health;

namespace Exporter.Tests;

public sealed class ReadinessTests
{
    private readonly Readiness _readiness = new();

    [Fact]
    public void What_waits_for_nothing_is_ready() => Assert.Empty(_readiness.Reasons);

    [Fact]
    public void Reasons_are_in_the_order_of_what_is_waited_for()
    {
        _readiness.WaitFor("reconcile", "a: the interfaces are not known yet");
        _readiness.WaitFor("pods", "b: the pods are not known yet");
        _readiness.WaitFor("Zone", "c: the zone is not known yet");

        Assert.Equal(["c: the zone is not known yet", "b: the pods are not known yet", "a: the interfaces are not known yet"], _readiness.Reasons);
    }

    [Fact]
    public void What_is_there_is_no_reason_any_more()
    {
        _readiness.WaitFor("reconcile", "the interfaces are not known yet");
        _readiness.WaitFor("pods", "the pods are not known yet");

        _readiness.MarkReady("pods");
        Assert.Equal(["the interfaces are not known yet"], _readiness.Reasons);
        _readiness.MarkReady("reconcile");
        Assert.Empty(_readiness.Reasons);
    }

    [Fact]
    public async Task A_metric_shows_it_and_stays_1_once_everything_was_there()
    {
        var registry = Prometheus.Metrics.NewCustomRegistry();
        var gauge = Exporter.Commands.ProcessMetrics.Ready.CreateGauge(Prometheus.Metrics.WithCustomRegistry(registry));
        var readiness = new Readiness(gauge);

        readiness.WaitFor("reconcile", "the interfaces are not known yet");
        readiness.WaitFor("pods", "the pods are not known yet");
        readiness.MarkReady("reconcile");
        Assert.Equal(0, await ReadAsync());
        readiness.MarkReady("pods");
        Assert.Equal(1, await ReadAsync());
        readiness.WaitFor("pods", "the options have changed");
        Assert.Equal(1, await ReadAsync());

        async Task<double> ReadAsync()
        {
            using var text = new MemoryStream();
            await registry.CollectAndExportAsTextAsync(text);
            var line = System.Text.Encoding.UTF8.GetString(text.ToArray()).Split('\n').Single(line => line.StartsWith("podnet_exporter_ready ", StringComparison.Ordinal));
            return double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    [Fact]
    public void What_was_there_once_is_not_waited_for_again()
    {
        _readiness.WaitFor("reconcile", "the interfaces are not known yet");
        _readiness.MarkReady("reconcile");

        _readiness.WaitFor("reconcile", "the interfaces are not known yet");

        Assert.Empty(_readiness.Reasons);
    }

    [Fact]
    public void The_last_reason_counts()
    {
        _readiness.WaitFor("pods", "the API server has not answered yet");
        _readiness.WaitFor("pods", "connection refused");

        Assert.Equal(["connection refused"], _readiness.Reasons);
    }

    [Fact]
    public void What_nobody_waits_for_may_be_there()
    {
        _readiness.WaitFor("pods", "the pods are not known yet");

        _readiness.MarkReady("reconcile");

        Assert.Single(_readiness.Reasons);
    }
}
