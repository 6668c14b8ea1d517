using System.Security.Cryptography.X509Certificates;
using Exporter.Commands;
using Exporter.Options;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests;

/// <summary>Options in a file that changes while the program runs.</summary>
public sealed class LiveOptionsTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly RecordingLogger<LiveOptions> _logger = new();

    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-options-").FullName;

    public void Dispose()
    {
        File.Delete(_file);
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Live_options_are_in_force_beside_the_started_values_of_the_others()
    {
        var live = Start("""{"Bpf": {"MaxInterfaces": "77"}}""");

        Write("""{"Bpf": {"MaxInterfaces": "99"}, "Drain": {"Interval": "00:00:02"}, "Attach": {"Exclude": "^lo$", "Priority": "5"}, "Identity": {"HoldFor": "00:00:07"}}""");
        live.Look();

        var options = live.CurrentValue;
        Assert.Equal((77, 10), (options.Bpf.MaxInterfaces, options.Attach.Priority));
        Assert.Equal((TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(7), "^lo$"), (options.Drain.Interval, options.Identity.HoldFor, options.Attach.Exclude?.ToString()));
        Assert.Equal(2, (await ScrapeAsync())["podnet_exporter_options_pending_restart"]);
    }

    [Theory]
    [InlineData("""{"Drain": {"Interval": "00:00:02"}}""", true)]
    [InlineData("""{"Attach": {"Exclude": "^lo$", "Include": "^veth", "CoverageInterval": "00:00:20"}, "Drain": {"Interval": "00:00:02"}}""", true)]
    [InlineData("""{"Drain": {"Interval": "00:00:02"}, "Metrics": {"MaxSeries": "20000"}}""", false)]
    [InlineData("""{"Metrics": {"PodLabels": "pod"}}""", false)]
    public void Changes_that_need_no_new_object_are_applied_in_place(string content, bool isInPlace)
    {
        var live = Start("{}");
        var (applied, heard) = (0, 0);
        live.ApplyInPlace = options => applied += options == live.CurrentValue ? 1 : 0;
        using var listening = live.OnChange((_, _) => heard++);

        Write(content);
        live.Look();

        Assert.Equal(isInPlace ? (1, 0) : (0, 1), (applied, heard));
    }

    [Fact]
    public async Task A_live_option_that_works_only_after_a_restart_is_refused_until_then()
    {
        var (now, later) = (LeastSeries(), LeastSeries(("Handshake:Hook", "off"), ("Metrics:Handshakes", "same")));
        Assert.True(later < now, "without the handshakes' programs less is set aside");
        var live = Start("{}");

        Write($$$"""{"Metrics": {"MaxSeries": "{{{later}}}"}, "Handshake": {"Hook": "off"}}""");
        live.Look();

        Assert.Equal(30_000, live.CurrentValue.Metrics.MaxSeries);
        Assert.Equal(1, (await ScrapeAsync())["podnet_exporter_config_reload_failures_total"]);
        Assert.Contains(_logger.Entries, entry => entry.Level == LogLevel.Error
            && entry.Text.Contains("until a restart puts the other changes in force: Metrics:MaxSeries", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_the_next_start_would_refuse_is_refused_now()
    {
        var least = LeastSeries(("Handshake:Hook", "off"));
        var live = Start($$$"""{"Handshake": {"Hook": "off"}, "Metrics": {"MaxSeries": "{{{least}}}"}}""");

        Write($$$"""{"Handshake": {"Hook": "auto"}, "Metrics": {"MaxSeries": "{{{least}}}", "MaxPods": "7"}}""");
        live.Look();

        Assert.Equal(1000, live.CurrentValue.Metrics.MaxPods);
        Assert.Equal(1, (await ScrapeAsync())["podnet_exporter_config_reload_failures_total"]);
    }

    [Fact]
    public async Task An_option_that_is_written_as_its_default_has_not_changed()
    {
        var live = Start("{}");
        var before = live.CurrentValue;

        Write("""{"Metrics": {"MaxSeries": "30000"}, "Bpf": {"MaxInterfaces": "1024"}}""");
        live.Look();

        Assert.Same(before, live.CurrentValue);
        Assert.Equal(0, (await ScrapeAsync())["podnet_exporter_options_pending_restart"]);
    }

    [Theory]
    [InlineData("{\n  \"Drain\": nope}", "line 2, column 13: 'nope}' is an invalid JSON literal. Expected the literal 'null'")]
    [InlineData("{\"a\": \"\\ud800\"}", "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate")]
    public void A_file_that_is_no_JSON_is_refused_with_the_place_and_the_reason(string content, string expected)
    {
        var live = Start("{}");
        Write(content);
        live.Look();
        Assert.EndsWith($"{_file}: {expected}", _logger.Entries[^1].Text, StringComparison.Ordinal);
    }

    /// <summary>As where a ConfigMap is projected some seconds before the Secret.</summary>
    [Theory]
    [InlineData("kafka", "Kafka:UserFile")]
    [InlineData("elasticsearch", "Elasticsearch:UserFile")]
    [InlineData("authorities", "Elasticsearch:CaFile")]
    [InlineData("token", "Server:BearerTokenFile")]
    [InlineData("passwords", "Server:BasicAuthFile")]
    public async Task A_change_that_is_refused_for_a_file_beside_it_is_in_force_when_the_file_can_be_used(string sink, string key)
    {
        using var certificates = new Certificates();
        var password = Path.Combine(_directory, "password");
        var content = sink switch { "authorities" => certificates.Authority.ExportCertificatePem(), "passwords" => "admin:s3cret", _ => "s3cret" };
        File.WriteAllText(password, content);
        var settings = SinkWith(sink, password);
        var live = Start($"{{{settings}}}");

        File.Delete(password);
        Write($$$"""{"Drain": {"Interval": "00:00:02"}, {{{settings}}}}""");
        live.Look();
        live.Look();
        Assert.NotEqual(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Equal(1, (await ScrapeAsync())["podnet_exporter_config_reload_failures_total"]);
        Assert.Equal(1, _logger.CountOf($"Reloading the options failed, keeping the previous ones: {key}: "));
        File.WriteAllText(password, content);
        live.Look();

        Assert.Equal(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Equal(1, _logger.CountOf("Applied changed options: Drain:Interval"));
    }

    [Fact]
    public void A_change_that_is_refused_for_a_directory_is_in_force_when_that_is_there()
    {
        var directory = Directory.CreateDirectory(Path.Combine(_directory, "records"));
        var settings = $$$"""
            "Export": {"Sinks": "file"}, "File": {"Path": "{{{directory.FullName}}}/flows.json"}
            """;
        var live = Start($"{{{settings}}}");

        directory.Delete();
        Write($$$"""{"Drain": {"Interval": "00:00:02"}, {{{settings}}}}""");
        live.Look();
        Assert.NotEqual(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        directory.Create();
        live.Look();

        Assert.Equal(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
    }

    [Fact]
    public void A_change_that_comes_between_a_certificate_and_its_key_is_in_force_when_both_are_there()
    {
        using var certificates = new Certificates();
        var (certificate, key) = (Path.Combine(_directory, "tls.crt"), Path.Combine(_directory, "tls.key"));
        WritePair(certificates.Server, certificate, key);
        var kafka = $$$"""
            "Export": {"Sinks": "kafka"}, "Kafka": {"Brokers": "a:9092", "Security": "tls", "CertificateFile": "{{{certificate}}}", "KeyFile": "{{{key}}}"}
            """;
        var live = Start($"{{{kafka}}}");

        WritePair(certificates.Authority, certificate, Path.Combine(_directory, "later"));
        Write($$$"""{"Drain": {"Interval": "00:00:02"}, {{{kafka}}}}""");
        live.Look();
        live.Look();
        Assert.NotEqual(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        WritePair(certificates.Authority, certificate, key);
        live.Look();

        Assert.Equal(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Equal(1, _logger.CountOf("Reloading the options failed"));
    }

    [Fact]
    public void A_level_of_the_log_that_the_next_start_would_refuse_is_refused_now()
    {
        var live = Start("{}");

        Write("""{"Drain": {"Interval": "00:00:02"}, "Logging": {"LogLevel": {"Default": "info"}}}""");
        live.Look();

        Assert.NotEqual(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Equal(1, _logger.CountOf("Reloading the options failed, keeping the previous ones: Logging:LogLevel:Default: 'info' is not one of Trace, Debug"));
    }

    /// <summary>A second open of it waits for another writer, as long as there is none.</summary>
    [Fact]
    public async Task A_pipe_in_place_of_a_file_is_read_once()
    {
        File.Delete(_file);
        using (var maker = System.Diagnostics.Process.Start("mkfifo", [_file]))
        {
            await maker.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
        var writing = Task.Run(() => File.WriteAllText(_file, """{"Drain": {"Interval": "00:00:02"}}"""), TestContext.Current.CancellationToken);
        var live = Read();
        await writing.WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);

        await Task.Run(live.Look, TestContext.Current.CancellationToken).WaitAsync(Silence.Limit, TestContext.Current.CancellationToken);

        Assert.Equal(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Empty(_logger.Entries);
    }

    [Fact]
    public async Task A_refused_change_is_forgotten_when_the_file_is_as_before()
    {
        var password = Path.Combine(_directory, "password");
        File.WriteAllText(password, "s3cret");
        var kafka = SinkWith("kafka", password);
        var live = Start($"{{{kafka}}}");

        Write($$$"""{"Drain": {"Interval": "00:00:02"}, {{{kafka.Replace("dFile\": \"", "dFile\": \"/nowhere", StringComparison.Ordinal)}}}}""");
        live.Look();
        Write($"{{{kafka}}}");
        live.Look();
        live.Look();

        Assert.NotEqual(TimeSpan.FromSeconds(2), live.CurrentValue.Drain.Interval);
        Assert.Equal(1, (await ScrapeAsync())["podnet_exporter_config_reload_failures_total"]);
    }

    /// <summary>The options of a sink that reads a file, or of the server.</summary>
    private static string SinkWith(string sink, string file) => sink switch
    {
        "kafka" => $$$"""
            "Export": {"Sinks": "kafka"}, "Kafka": {"Brokers": "a:9092", "Security": "sasl-plaintext", "UserFile": "{{{file}}}", "PasswordFile": "{{{file}}}"}
            """,
        "elasticsearch" => $$$"""
            "Export": {"Sinks": "elasticsearch"}, "Elasticsearch": {"Urls": "http://a:9200", "UserFile": "{{{file}}}", "PasswordFile": "{{{file}}}"}
            """,
        "token" => $$$"""
            "Server": {"BearerTokenFile": "{{{file}}}"}
            """,
        "passwords" => $$$"""
            "Server": {"BasicAuthFile": "{{{file}}}"}
            """,
        _ => $$$"""
            "Export": {"Sinks": "elasticsearch"}, "Elasticsearch": {"Urls": "https://a:9200", "CaFile": "{{{file}}}"}
            """,
    };

    private static void WritePair(X509Certificate2 pair, string certificate, string key)
    {
        using var secret = pair.GetECDsaPrivateKey()!;
        File.WriteAllText(certificate, pair.ExportCertificatePem());
        File.WriteAllText(key, secret.ExportPkcs8PrivateKeyPem());
    }

    private static int LeastSeries(params (string Key, string? Value)[] settings)
    {
        var options = TestOptions.Read(settings);
        return options.CreatePlan().FixedLines;
    }

    private LiveOptions Start(string content)
    {
        Write(content);
        return Read();
    }

    private LiveOptions Read()
    {
        var files = OptionFiles.Read(new Dictionary<string, string?> { [OptionFiles.FileKey] = _file });
        var reader = new OptionReader(files.Configuration);
        var options = ExporterOptions.Read(reader);
        Assert.Empty(reader.Errors);
        return new(files, options, new FakeTimeProvider(), Prometheus.Metrics.WithCustomRegistry(_registry), _logger);
    }

    private void Write(string content) => File.WriteAllText(_file, content);

    private Task<ScrapedText> ScrapeAsync() => ScrapedText.OfAsync(_registry);
}
