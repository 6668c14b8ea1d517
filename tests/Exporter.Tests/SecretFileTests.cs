using Exporter.Server.Security;
using Exporter.Tests.Support;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests;

/// <summary>Files that somebody changes while they are used.</summary>
public sealed class SecretFileTests : IDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-secret-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly RecordingLogger<SecretFiles> _logger = new();

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_file_that_changes_is_read_anew_once_a_second_at_the_most()
    {
        Write("one");
        var file = Open();

        Write("two");
        Assert.Equal("one", file.Current);
        _time.Advance(Second);
        Assert.Equal("two", file.Current);
        Write("three");
        Assert.Equal("two", file.Current);
        _time.Advance(Second);
        Assert.Equal("three", file.Current);
    }

    [Theory]
    [InlineData("bad")]
    [InlineData(null)]
    public async Task What_cannot_be_used_leaves_the_former_in_force_and_is_told_once(string? content)
    {
        Write("one");
        var file = Open();
        Assert.Equal(0, await CountErrorsAsync());

        Write(content);
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(Second);
            Assert.Equal("one", file.Current);
        }
        Assert.Equal(1, await CountErrorsAsync());
        Assert.Equal(1, _logger.CountOf("Reloading the thing failed"));

        Write("worse, bad");
        _time.Advance(Second);
        Assert.Equal("one", file.Current);
        Assert.Equal(2, await CountErrorsAsync());

        Write("two");
        _time.Advance(Second);
        Assert.Equal("two", file.Current);
        Assert.Equal(2, await CountErrorsAsync());
    }

    [Fact]
    public void What_cannot_be_used_at_the_beginning_is_an_error_that_names_the_option()
    {
        Write("bad");
        Assert.Equal("Server:Thing: is bad", Assert.Throws<FormatException>(Open).Message);

        Write(null);
        Assert.StartsWith($"Server:Thing: {Path()} cannot be read", Assert.Throws<FormatException>(Open).Message, StringComparison.Ordinal);
    }

    private SecretFile<string> Open() => new SecretFiles(Prometheus.Metrics.WithCustomRegistry(_registry), _time, _logger).Open(
        "thing", "Server:Thing", [Path()], texts => texts[0].Contains("bad", StringComparison.Ordinal) ? throw new FormatException("is bad") : texts[0]);

    private async Task<double> CountErrorsAsync() => (await ScrapedText.OfAsync(_registry))["podnet_exporter_credential_reload_failures_total{secret=\"thing\"}"];

    private string Path() => System.IO.Path.Combine(_directory, "secret");

    private void Write(string? content)
    {
        if (content is null)
        {
            File.Delete(Path());
        }
        else
        {
            File.WriteAllText(Path(), content);
        }
    }
}
