using System.Text;
using System.Text.RegularExpressions;
using Exporter.Accounts;
using Exporter.Commands;
using Exporter.Exposition;
using Exporter.Interfaces;
using Exporter.Metrics;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;
using Prometheus;

namespace Exporter.Tests;

public sealed class ExporterMetricsTests
{
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly Ledger _ledger = Ledger.Open(null);
    private readonly IMetricFactory _factory;
    private readonly AccountMetrics _accounts;
    private readonly InterfaceMetrics _interfaces;
    private readonly TrafficLosses _losses;
    private readonly HandshakeLosses _handshakeLosses;

    public ExporterMetricsTests()
    {
        _factory = Prometheus.Metrics.WithCustomRegistry(_registry);
        _accounts = new(_factory, _ledger, EverySignal.Totals);
        (_interfaces, _losses, _handshakeLosses) = (new(_factory), new(_factory), new(_factory, _ledger));
        _ = new DrainMetrics(_factory, EverySignal.SignalRows);
        ProcessMetrics.ShowBuild(_factory);
    }

    [Theory]
    [InlineData("podnet_exporter_attach_errors_total{reason=\"eperm\"}")]
    [InlineData("podnet_exporter_attach_errors_total{reason=\"einval\"}")]
    [InlineData("podnet_exporter_attach_errors_total{reason=\"enospc\"}")]
    [InlineData("podnet_exporter_attach_errors_total{reason=\"removed\"}")]
    [InlineData("podnet_exporter_attach_errors_total{reason=\"other\"}")]
    [InlineData("podnet_exporter_lost_packets_total{reason=\"map_full\"}")]
    [InlineData("podnet_exporter_lost_packets_total{reason=\"map_busy\"}")]
    [InlineData("podnet_exporter_lost_packets_total{reason=\"map_error\"}")]
    [InlineData("podnet_exporter_lost_bytes_total{reason=\"map_full\"}")]
    [InlineData("podnet_exporter_lost_bytes_total{reason=\"map_busy\"}")]
    [InlineData("podnet_exporter_lost_bytes_total{reason=\"map_error\"}")]
    [InlineData("podnet_exporter_unattributed_packets_total{direction=\"transmit\"}")]
    [InlineData("podnet_exporter_unattributed_packets_total{direction=\"receive\"}")]
    [InlineData("podnet_exporter_unattributed_bytes_total{direction=\"transmit\"}")]
    [InlineData("podnet_exporter_unattributed_bytes_total{direction=\"receive\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"map_full\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"map_busy\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"map_error\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"late_full\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"untimed\"}")]
    [InlineData("podnet_exporter_lost_handshakes_total{reason=\"unseen\"}")]
    [InlineData("podnet_exporter_unattributed_handshakes_total{role=\"client\"}")]
    [InlineData("podnet_exporter_unattributed_handshakes_total{role=\"server\"}")]
    [InlineData("podnet_exporter_drain_errors_total{signal=\"traffic\"}")]
    [InlineData("podnet_exporter_drain_errors_total{signal=\"handshakes\"}")]
    [InlineData("podnet_exporter_drain_errors_total{signal=\"statistics\"}")]
    [InlineData("podnet_exporter_netlink_resyncs_total")]
    [InlineData("podnet_exporter_interfaces{state=\"pending\"}")]
    [InlineData("podnet_exporter_interfaces{state=\"attached\"}")]
    [InlineData("podnet_exporter_interfaces{state=\"failed\"}")]
    [InlineData("podnet_exporter_interfaces{state=\"shadowed\"}")]
    public async Task A_counter_of_what_can_go_wrong_is_there_at_zero_from_the_start(string sample) =>
        Assert.Equal(0, (await ScrapeAsync())[sample]);

    [Fact]
    public async Task Made_again_in_the_same_registry_no_counter_goes_back_or_counts_twice()
    {
        _interfaces.CountAttachError("eperm");
        _interfaces.AddUnattached("transmit", 7);
        _accounts.Retired.Add(Counted.Sent(3, 300));
        Commit();
        _interfaces.SetInterfaces(InterfaceState.Attached, 5);

        _ledger.Restart();
        var next = new AccountMetrics(_factory, _ledger, EverySignal.Totals);
        _ = new InterfaceMetrics(_factory);

        var samples = await ScrapeAsync(next);
        Assert.Equal(1, samples["podnet_exporter_attach_errors_total{reason=\"eperm\"}"]);
        Assert.Equal(7, samples["podnet_exporter_unattached_packets_total{direction=\"transmit\"}"]);
        Assert.Equal(3, samples["podnet_exporter_retired_packets_total{direction=\"transmit\"}"]);
        Assert.Equal(5, samples["podnet_exporter_interfaces{state=\"attached\"}"]);
        next.Retired.Add(Counted.Sent(2, 200));
        Commit();
        Assert.Equal(500, (await ScrapeAsync(next))["podnet_exporter_retired_bytes_total{direction=\"transmit\"}"]);

        void Commit()
        {
            lock (_ledger.Lock)
            {
                _ledger.Commit();
            }
        }
    }

    /// <summary>The same, for the counters that a later change adds.</summary>
    [Fact]
    public async Task Every_counter_family_has_a_sample_from_the_start()
    {
        using var text = new MemoryStream();
        await _registry.CollectAndExportAsTextAsync(text);
        var families = Regex.Matches(Encoding.UTF8.GetString(text.ToArray()), "^# TYPE (\\S+) counter$", RegexOptions.Multiline)
            .Select(match => match.Groups[1].Value).ToList();
        var samples = (await ScrapeAsync()).Samples;

        Assert.NotEmpty(families);
        Assert.All(families, family => Assert.Contains(samples, sample => sample.Split('{')[0] == family));
    }

    [Theory]
    [InlineData("eperm", "eperm")]
    [InlineData("einval", "einval")]
    [InlineData("enospc", "enospc")]
    [InlineData("removed", "removed")]
    [InlineData("eio", "other")]
    [InlineData("errno 524", "other")]
    [InlineData("", "other")]
    [InlineData("EPERM", "other")]
    public async Task An_attach_error_outside_the_known_reasons_is_other(string reason, string label)
    {
        _interfaces.CountAttachError(reason);
        _interfaces.CountAttachError(reason);

        var errors = await ScrapeAsync();
        Assert.Equal(2, errors[$"podnet_exporter_attach_errors_total{{reason=\"{label}\"}}"]);
        Assert.Equal(9, errors.Samples.Count(sample => sample.StartsWith("podnet_exporter_attach_errors_total", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData((int)LossReason.MapFull, "map_full")]
    [InlineData((int)LossReason.MapBusy, "map_busy")]
    [InlineData((int)LossReason.MapError, "map_error")]
    public async Task A_loss_is_the_total_that_was_last_read(int reason, string label)
    {
        _losses.Set((LossReason)reason, new(3, 300));
        _losses.Set((LossReason)reason, new(5, 500));

        var losses = await ScrapeAsync();
        Assert.Equal(5, losses[$"podnet_exporter_lost_packets_total{{reason=\"{label}\"}}"]);
        Assert.Equal(500, losses[$"podnet_exporter_lost_bytes_total{{reason=\"{label}\"}}"]);
    }

    [Theory]
    [InlineData(HandshakeLoss.MapFull, "map_full")]
    [InlineData(HandshakeLoss.MapBusy, "map_busy")]
    [InlineData(HandshakeLoss.MapError, "map_error")]
    [InlineData(HandshakeLoss.LateFull, "late_full")]
    [InlineData(HandshakeLoss.Untimed, "untimed")]
    public async Task A_loss_of_handshakes_is_the_total_that_was_last_read(HandshakeLoss reason, string label)
    {
        _handshakeLosses.Set(reason, 3);
        _handshakeLosses.Set(reason, 5);

        var losses = await ScrapeAsync();
        Assert.Equal(5, losses.LostHandshakes(label));
        Assert.Equal(7, losses.Samples.Count(sample => sample.StartsWith("podnet_exporter_lost_handshakes_total", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Unseen_handshakes_add_up_beside_the_losses_that_are_read()
    {
        lock (_ledger.Lock)
        {
            _handshakeLosses.Unseen.Add(1);
            _handshakeLosses.Set(HandshakeLoss.Untimed, 5);
            _handshakeLosses.Unseen.Add(1);
            _ledger.Commit();
        }

        var losses = await ScrapeAsync();
        Assert.Equal(2, losses.LostHandshakes("unseen"));
        Assert.Equal(0, losses.LostHandshakes("missed"));
        Assert.Equal(5, losses.LostHandshakes("untimed"));
    }

    [Fact]
    public async Task Unattributed_handshakes_add_up_by_role()
    {
        _accounts.Unattributed.Add(Counted.Handshakes(Counted.Failed(HandshakeFailure.Refused, 3), Counted.Completed([1000], 7, 5000)));
        _accounts.Unattributed.Add(Counted.Handshakes(Counted.Both(Counted.Failed(HandshakeFailure.Other), Counted.Resent(100))));
        lock (_ledger.Lock)
        {
            _ledger.Commit();
        }

        var scrape = await ScrapeAsync();
        Assert.Equal((4, 2), (scrape.UnattributedHandshakes("client"), scrape.UnattributedHandshakes("server")));
    }

    [Fact]
    public async Task The_state_of_interfaces_is_the_number_that_was_last_set()
    {
        _interfaces.SetInterfaces(InterfaceState.Shadowed, 4);
        _interfaces.SetInterfaces(InterfaceState.Shadowed, 2);

        Assert.Equal(2, (await ScrapeAsync())["podnet_exporter_interfaces{state=\"shadowed\"}"]);
    }

    [Fact]
    public async Task Once_everything_is_removed_the_gauges_of_what_was_there_are_too_and_counters_and_the_process_stay()
    {
        var signals = EverySignal.Defaults;
        new HookMetrics(_factory, signals).Show("tcx", [("handshakes", "tracepoint")]);
        new BpfMetrics(_factory, [], [new("traffic", 1024, () => 3)]).Update();
        new StateMetrics(_factory).Update(null, _ledger);
        ProcessMetrics.ShowStandby(_factory, null);
        _interfaces.SetInterfaces(InterfaceState.Attached, 12);
        _interfaces.SetInterfaces(InterfaceState.Shadowed, 1);
        _interfaces.ReconcileErrors.Inc();

        AllFamilies.RemoveGauges(_factory, signals);
        ProcessMetrics.ShowStandby(_factory, StandbyReason.Uninstalled);

        var scrape = await ScrapedText.OfAsync(_registry);
        Assert.Equal(1, scrape["podnet_exporter_standby{reason=\"uninstalled\"}"]);
        Assert.Equal(1, scrape["podnet_exporter_reconcile_errors_total"]);
        string[] lasting = ["podnet_exporter_build_info", "podnet_exporter_standby", "podnet_exporter_waiting"];
        Assert.Equal(
            lasting,
            scrape.Samples.Select(sample => sample.Split('{')[0]).Where(name => !name.EndsWith("_total", StringComparison.Ordinal) && !name.Contains("_duration_", StringComparison.Ordinal)).Distinct().Order());
    }

    [Fact]
    public async Task The_build_and_the_hook_are_told()
    {
        new HookMetrics(_factory, EverySignal.Defaults).Show("tcx", []);

        var scrape = await ScrapeAsync();
        Assert.Equal(1, scrape["podnet_exporter_hook_info{kind=\"traffic\",hook=\"tcx\"}"]);
        var build = Assert.Single(scrape.Samples, sample => sample.StartsWith("podnet_exporter_build_info{", StringComparison.Ordinal));
        Assert.Contains($"version=\"{ProductVersion.Text}\"", build, StringComparison.Ordinal);
        Assert.NotEqual("unknown", ProductVersion.Text);
    }

    private Task<ScrapedText> ScrapeAsync() => ScrapeAsync(_accounts);

    private async Task<ScrapedText> ScrapeAsync(AccountMetrics accounts)
    {
        var totals = from total in accounts.Show(() => 0, _ => 0)
                     from sample in new TotalText(total, Exposition.ExpositionFormat.Text).Samples
                     select $"{Encoding.UTF8.GetString(sample.Beginning)}{sample.Read()}\n";
        return ScrapedText.Parse(string.Concat(totals) + await ScrapedText.WriteAsync(_registry));
    }
}
