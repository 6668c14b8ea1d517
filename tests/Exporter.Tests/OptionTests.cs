using Exporter.Commands;
using Exporter.Interfaces;
using Exporter.Pods;
using Exporter.Signals.Handshakes;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace Exporter.Tests;

public sealed class OptionTests
{
    [Theory]
    [InlineData("http://10.0.0.1:9969", "http://10.0.0.1:9969")]
    [InlineData("http://[10.0.0.1]:9969", "http://10.0.0.1:9969")]
    [InlineData("http://fd00::1:9969", "http://[fd00::1]:9969")]
    [InlineData("http://[fd00::1]:9969/", "http://[fd00::1]:9969/")]
    [InlineData("http://::1:1; http://fd00:::2", "http://[::1]:1;http://[fd00::]:2")]
    [InlineData("http://::ffff:10.0.0.1:9969", "http://[::ffff:10.0.0.1]:9969")]
    [InlineData("http://2001:db8:1:2:3:4:5:6:9969", "http://[2001:db8:1:2:3:4:5:6]:9969")]
    public void An_address_to_listen_on_is_taken_with_and_without_brackets_whatever_its_family(string text, string urls) =>
        Assert.Equal(urls.Split(';'), TestOptions.Read(("Server:Urls", text)).Server.Urls);

    [Theory]
    [InlineData("http://fd00::1")]
    [InlineData("http://2001:db8:1:2:3:4:5:6:7:9969")]
    [InlineData("http://[fd00::1:9969")]
    [InlineData("http://[*]:9969")]
    [InlineData("http://:::9969:1:2:3:4:5:6:7:8")]
    public void An_IPv6_address_that_is_none_or_has_no_port_is_refused(string text) =>
        Assert.Contains("is not an address", Assert.Single(TestOptions.ErrorsOf(("Server:Urls", text))), StringComparison.Ordinal);

    [Fact]
    public void With_a_certificate_the_addresses_are_https()
    {
        using var files = new CertificateFiles();
        var tls = files.Settings;

        Assert.Equal(["https://*:9969"], TestOptions.Read(tls).Server.Urls);
        Assert.Equal(["https://127.0.0.1:1"], TestOptions.Read([.. tls, ("Server:Urls", "https://127.0.0.1:1")]).Server.Urls);
        Assert.StartsWith(
            "Server:Urls: 'https://*:1;http://*:2' has http, and Server:CertificateFile is set",
            Assert.Single(TestOptions.ErrorsOf([.. tls, ("Server:Urls", "https://*:1;http://*:2")])),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Without_any_setting_the_defaults_hold()
    {
        var options = TestOptions.Read();

        Assert.Equal(["http://*:9969"], options.Server.Urls);
        Assert.Equal(TcAttachOption.Auto, options.Attach.Hook);
        Assert.Null(options.Attach.Include);
        Assert.Null(options.Attach.Exclude);
        Assert.Equal(10, options.Attach.Priority);
        Assert.Equal(TimeSpan.FromSeconds(15), options.Attach.CoverageInterval);
        Assert.Equal(TimeSpan.FromSeconds(1), options.Drain.Interval);
        Assert.Equal(HandshakeAttachOption.Auto, options.Handshake.Hook);
        Assert.Equal(
            [
                50_000ul, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000,
                200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
            ],
            options.Handshake.Buckets);
        Assert.Equal(16384, options.Handshake.MaxRetransmitting);
        Assert.Equal(IdentityChoice.Auto, options.Identity.Source);
        Assert.Equal(TimeSpan.FromSeconds(30), options.Identity.HoldFor);
        Assert.Equal(TimeSpan.FromMinutes(2), options.Metrics.Retention);
        Assert.Equal([new("namespace"), new("pod")], options.Metrics.Labels.PodLabels);
        Assert.Empty(options.Metrics.Labels.Namespaces);
        Assert.Empty(options.Metrics.Labels.ExcludedNamespaces);
        Assert.Equal(new("", "", ""), options.Kubernetes);
        Assert.Equal(1024, options.Bpf.MaxInterfaces);
        Assert.False(options.Bpf.RunStatistics);
    }

    [Fact]
    public void What_is_set_is_read()
    {
        var options = TestOptions.Read(
            ("Server:Urls", "http://127.0.0.1:9000; http://[::1]:9001"),
            ("Attach:Hook", "clsact"),
            ("Attach:Include", "^cali"),
            ("Attach:Exclude", "^docker"),
            ("Attach:Priority", "77"),
            ("Attach:CoverageInterval", "00:01:00"),
            ("Drain:Interval", "00:00:00.25"),
            ("Handshake:Hook", "tracepoint"),
            ("Handshake:Buckets", "0.000001; 0.000123457 ;.5;600"),
            ("Handshake:MaxRetransmitting", "99"),
            ("Identity:Source", "standalone"),
            ("Identity:HoldFor", "00:00:07"),
            ("Kubernetes:NodeName", "worker-1"),
            ("Kubernetes:Kubeconfig", "/etc/kubeconfig"),
            ("Kubernetes:Context", "admin@cluster"),
            ("Metrics:Retention", "00:05:00"),
            ("Metrics:PodLabels", "workload; label:app.kubernetes.io/name ;namespace"),
            ("Metrics:Namespaces", "shop; bank"),
            ("Metrics:ExcludedNamespaces", "kube-system"),
            ("Bpf:MaxInterfaces", "4096"),
            ("Bpf:RunStatistics", "true"));

        Assert.Equal(["http://127.0.0.1:9000", "http://[::1]:9001"], options.Server.Urls);
        Assert.Equal(TcAttachOption.Clsact, options.Attach.Hook);
        Assert.Equal("^cali", options.Attach.Include?.ToString());
        Assert.Equal("^docker", options.Attach.Exclude?.ToString());
        Assert.Equal(77, options.Attach.Priority);
        Assert.Equal(TimeSpan.FromMinutes(1), options.Attach.CoverageInterval);
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.Drain.Interval);
        Assert.Equal(HandshakeAttachOption.Tracepoint, options.Handshake.Hook);
        Assert.Equal([1_000ul, 123_457, 500_000_000, 600_000_000_000], options.Handshake.Buckets);
        Assert.Equal(99, options.Handshake.MaxRetransmitting);
        Assert.Equal(IdentityChoice.Standalone, options.Identity.Source);
        Assert.Equal(TimeSpan.FromSeconds(7), options.Identity.HoldFor);
        Assert.Equal(new("worker-1", "/etc/kubeconfig", "admin@cluster"), options.Kubernetes);
        Assert.Equal(TimeSpan.FromMinutes(5), options.Metrics.Retention);
        Assert.Equal([new("workload"), new("label_app_kubernetes_io_name", "app.kubernetes.io/name"), new("namespace")], options.Metrics.Labels.PodLabels);
        Assert.Equal(["bank", "shop"], options.Metrics.Labels.Namespaces.Order());
        Assert.Equal(["kube-system"], options.Metrics.Labels.ExcludedNamespaces);
        Assert.Equal(4096, options.Bpf.MaxInterfaces);
        Assert.True(options.Bpf.RunStatistics);
    }

    [Theory]
    [InlineData("Drain:Interval", "00:00:00.1")]
    [InlineData("Drain:Interval", "00:01:00")]
    [InlineData("Attach:CoverageInterval", "00:00:01")]
    [InlineData("Attach:CoverageInterval", "01:00:00")]
    [InlineData("Identity:HoldFor", "00:00:00")]
    [InlineData("Identity:HoldFor", "01:00:00")]
    [InlineData("Metrics:Retention", "00:00:00")]
    [InlineData("Metrics:Retention", "1.00:00:00")]
    [InlineData("Attach:Priority", "1")]
    [InlineData("Attach:Priority", "65520")]
    [InlineData("Bpf:MaxInterfaces", "1")]
    [InlineData("Bpf:MaxInterfaces", "65536")]
    [InlineData("Handshake:Hook", "KPROBE")]
    [InlineData("Handshake:Hook", "off")]
    [InlineData("Handshake:Buckets", "1")]
    [InlineData("Handshake:Buckets", "0.000001")]
    [InlineData("Handshake:Buckets", "600")]
    [InlineData("Handshake:Buckets", "0.000001;0.000001001")]
    [InlineData("Handshake:Buckets", "  .1 ; 1. ; 10.0000000000 ")]
    [InlineData("Handshake:Buckets", "1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28;29;30;31")]
    [InlineData("Handshake:MaxRetransmitting", "1")]
    [InlineData("Handshake:MaxRetransmitting", "1048576")]
    [InlineData("Metrics:PodLabels", "node")]
    [InlineData("Metrics:PodLabels", ";pod; ;node;")]
    [InlineData("Metrics:PodLabels", "label:pod;pod;label:Pod;label:a/b;label:a/c")]
    [InlineData("Metrics:PodLabels", "namespace;pod;workload;workload_kind;node;label:1")]
    [InlineData("Metrics:Namespaces", "")]
    [InlineData("Metrics:Namespaces", "shop;shop;;0-a")]
    [InlineData("Metrics:ExcludedNamespaces", "a23456789-123456789-123456789-123456789-123456789-123456789-123")]
    [InlineData("Kubernetes:NodeName", " worker-1.example ")]
    [InlineData("Bpf:RunStatistics", "TRUE")]
    [InlineData("Bpf:RunStatistics", " false ")]
    [InlineData("Attach:Hook", "TCX")]
    [InlineData("Drain:Interval", "  00:00:02 ")]
    [InlineData("Attach:Include", "")]
    [InlineData("Server:Urls", "HTTP://localhost:9969;")]
    [InlineData("Server:Urls", "http://*:0;http://127.0.0.1:0;http://[::1]:0")]
    [InlineData("Server:Urls", "http://[::1]:9969/")]
    public void The_ends_of_a_range_and_unusual_spellings_are_accepted(string key, string value) => Assert.Empty(TestOptions.ErrorsOf((key, value)));

    [Theory]
    [InlineData("Drain:Interval", "00:00:00.0999999", "out of range")]
    [InlineData("Drain:Interval", "00:01:00.0000001", "out of range")]
    [InlineData("Drain:Interval", "-00:00:01", "out of range")]
    [InlineData("Drain:Interval", "5", "not a duration")]
    [InlineData("Drain:Interval", "1s", "not a duration")]
    [InlineData("Drain:Interval", "00:00:60", "not a duration")]
    [InlineData("Drain:Interval", "", "not a duration")]
    [InlineData("Attach:CoverageInterval", "00:00:00.9", "out of range")]
    [InlineData("Attach:CoverageInterval", "01:00:01", "out of range")]
    [InlineData("Attach:CoverageInterval", "15", "not a duration")]
    [InlineData("Identity:HoldFor", "-00:00:01", "out of range")]
    [InlineData("Identity:HoldFor", "01:00:01", "out of range")]
    [InlineData("Identity:HoldFor", "30", "not a duration")]
    [InlineData("Metrics:Retention", "-00:00:01", "out of range")]
    [InlineData("Metrics:Retention", "1.00:00:01", "out of range")]
    [InlineData("Metrics:Retention", "2m", "not a duration")]
    [InlineData("Attach:Include", "(", "not a regular expression")]
    [InlineData("Attach:Exclude", "[a-", "not a regular expression")]
    [InlineData("Attach:Exclude", "(?=veth)", "not a regular expression")]
    [InlineData("Attach:Exclude", @"(a)\1", "not a regular expression")]
    [InlineData("Attach:Exclude", "(a{1000}){1000}", "or is too large")]
    [InlineData("Attach:Hook", "xdp", "auto, tcx, clsact")]
    [InlineData("Attach:Hook", "1", "auto, tcx, clsact")]
    [InlineData("Attach:Hook", "", "auto, tcx, clsact")]
    [InlineData("Attach:Hook", "tcx,clsact", "auto, tcx, clsact")]
    [InlineData("Handshake:Hook", "ebpf", "auto, kprobe, tracepoint, off")]
    [InlineData("Handshake:Hook", "", "auto, kprobe, tracepoint, off")]
    [InlineData("Handshake:Hook", "0", "auto, kprobe, tracepoint, off")]
    [InlineData("Handshake:Hook", "kprobe,tracepoint", "auto, kprobe, tracepoint, off")]
    [InlineData("Handshake:Buckets", "", "has '', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", " ", "has '', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", ";", "has '', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "1;2;", "has '', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "1;;2", "has '', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "1ms", "has '1ms', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "0.1;fast", "has 'fast', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "1e-3", "has '1e-3', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "-1", "has '-1', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "+1", "has '+1', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "0,1", "has '0,1', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "0.1 0.2", "has '0.1 0.2', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "00:00:01", "has '00:00:01', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "Infinity", "has 'Infinity', which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "1000000000000000000000000000000", "which is not a number of seconds")]
    [InlineData("Handshake:Buckets", "0", "has 0, which is not from 0.000001 to 600 seconds")]
    [InlineData("Handshake:Buckets", "0.000000999", "has 0.000000999, which is not from 0.000001 to 600 seconds")]
    [InlineData("Handshake:Buckets", "1;600.000000001", "has 600.000000001, which is not from 0.000001 to 600 seconds")]
    [InlineData("Handshake:Buckets", "79228162514264337593543950335", "which is not from 0.000001 to 600 seconds")]
    [InlineData("Handshake:Buckets", "0.0010000001", "has 0.0010000001, which is not from 0.000001 to 600 seconds in whole nanoseconds")]
    [InlineData("Handshake:Buckets", "1;0.0000010005;3", "has 0.0000010005, which is not from 0.000001 to 600 seconds in whole nanoseconds")]
    [InlineData("Handshake:Buckets", "0.1;0.2;0.15", "does not ascend: 0.15 comes after 0.2")]
    [InlineData("Handshake:Buckets", "1;1", "does not ascend: 1 comes after 1")]
    [InlineData("Handshake:Buckets", "0.5;0.50", "does not ascend: 0.50 comes after 0.5")]
    [InlineData("Handshake:Buckets", "1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28;29;30;31;32", "has 32 bounds; there can be 31")]
    [InlineData("Handshake:MaxRetransmitting", "0", "from 1 to 1048576")]
    [InlineData("Handshake:MaxRetransmitting", "1048577", "from 1 to 1048576")]
    [InlineData("Handshake:MaxRetransmitting", "-1", "from 1 to 1048576")]
    [InlineData("Handshake:MaxRetransmitting", "many", "from 1 to 1048576")]
    [InlineData("Handshake:MaxRetransmitting", "", "from 1 to 1048576")]
    [InlineData("Bpf:RunStatistics", "", "is not one of true, false")]
    [InlineData("Bpf:RunStatistics", "1", "is not one of true, false")]
    [InlineData("Bpf:RunStatistics", "on", "is not one of true, false")]
    [InlineData("Identity:Source", "docker", "auto, ")]
    [InlineData("Attach:Priority", "0", "from 1 to 65520")]
    [InlineData("Attach:Priority", "65521", "from 1 to 65520")]
    [InlineData("Attach:Priority", "-1", "from 1 to 65520")]
    [InlineData("Attach:Priority", "high", "from 1 to 65520")]
    [InlineData("Bpf:MaxInterfaces", "0", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "65537", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "-1", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "+1", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "1.5", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "1,024", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "1e3", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "99999999999", "from 1 to 65536")]
    [InlineData("Bpf:MaxInterfaces", "", "from 1 to 65536")]
    [InlineData("Server:Urls", "https://*:9969", "has https, and there is no certificate")]
    [InlineData("Server:Urls", "http://*:9969;https://*:9970", "has https, and there is no certificate")]
    [InlineData("Server:KeyFile", "/tls.key", "does not go with Server:CertificateFile")]
    [InlineData("Server:Urls", "*:9969", "is not an address")]
    [InlineData("Server:Urls", "9969", "is not an address")]
    [InlineData("Server:Urls", "http://*:9969/metrics", "is not an address")]
    [InlineData("Server:Urls", "http://unix:/run/podnet.sock", "is not an address")]
    [InlineData("Server:Urls", "http://", "is not an address")]
    [InlineData("Server:Urls", "http://:9969", "is not an address")]
    [InlineData("Server:Urls", "http://*", "is not an address")]
    [InlineData("Server:Urls", "http://*:", "is not an address")]
    [InlineData("Server:Urls", "http://node1:9969", "is not an address")]
    [InlineData("Server:Urls", "http://*:abc", "is not an address")]
    [InlineData("Server:Urls", "http://*:99999999999", "is not an address")]
    [InlineData("Server:Urls", "http://*:-1", "is not an address")]
    [InlineData("Server:Urls", "http://*:9969?x=1", "is not an address")]
    [InlineData("Server:Urls", "http://[::1:9969", "is not an address")]
    [InlineData("Server:Urls", "http://a b:1", "is not an address")]
    [InlineData("Server:Urls", "http://127.0.0.1:9969:1", "is not an address")]
    [InlineData("Server:Urls", "", "is empty")]
    [InlineData("Server:Urls", " ; ", "is empty")]
    [InlineData("Server:Urls", "http://*:70000", "port that does not exist: 70000")]
    [InlineData("Server:Urls", "http://localhost:0", "has localhost with port 0")]
    [InlineData("Server:Urls", "http://*:1;http://LOCALHOST:000/", "has localhost with port 0")]
    [InlineData("Metrics:Retention", "24:00:00", "not a duration")]
    [InlineData("Metrics:PodLabels", "namespace;name", "has 'name', which is not one of namespace, pod, workload, workload_kind, node; a pod's own label is written label:app.kubernetes.io/name")]
    [InlineData("Metrics:PodLabels", "Namespace", "has 'Namespace', which is not one of namespace, ")]
    [InlineData("Metrics:PodLabels", "app.kubernetes.io/name", "is written label:app.kubernetes.io/name")]
    [InlineData("Metrics:PodLabels", "namespace,pod", "has 'namespace,pod', which is not one of ")]
    [InlineData("Metrics:PodLabels", "label:", "has 'label:', which is not one of ")]
    [InlineData("Metrics:PodLabels", "Label:app", "has 'Label:app', which is not one of ")]
    [InlineData("Metrics:PodLabels", "pod;namespace;pod", "has the label pod twice")]
    [InlineData("Metrics:PodLabels", "label:a.b;pod;label:a.b", "has the label a.b twice")]
    [InlineData("Metrics:PodLabels", "", "is empty; write at least one label, like namespace")]
    [InlineData("Metrics:PodLabels", " ; ", "is empty; write at least one label, like namespace")]
    [InlineData("Metrics:Namespaces", "shop;Bank", "has 'Bank', which no namespace can be called; write names like default;kube-system")]
    [InlineData("Metrics:Namespaces", "shop bank", "has 'shop bank', which no namespace can be called")]
    [InlineData("Metrics:Namespaces", "a234567890123456789012345678901234567890123456789012345678901234", "which no namespace can be called")]
    [InlineData("Metrics:ExcludedNamespaces", "kube-*", "has 'kube-*', which no namespace can be called")]
    [InlineData("Metrics:ExcludedNamespaces", "-kube", "has '-kube', which no namespace can be called")]
    [InlineData("Metrics:ExcludedNamespaces", "shop;kube-", "has 'kube-', which no namespace can be called")]
    [InlineData("Metrics:ExcludedNamespaces", "kube.system", "has 'kube.system', which no namespace can be called")]
    public void A_malformed_value_is_named_with_its_key_and_what_is_wrong(string key, string value, string problem)
    {
        var error = Assert.Single(TestOptions.ErrorsOf((key, value)));

        Assert.StartsWith($"{key}: '{value}' ", error, StringComparison.Ordinal);
        Assert.Contains(problem, error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_malformed_value_stands_as_its_default_in_the_result()
    {
        var options = ExporterOptions.Read(TestOptions.Reader(("Drain:Interval", "5"), ("Attach:Hook", "xdp"), ("Server:Urls", "ftp://*"), ("Handshake:Buckets", "0.3;0.2")));

        Assert.Equal(TimeSpan.FromSeconds(1), options.Drain.Interval);
        Assert.Equal(TcAttachOption.Auto, options.Attach.Hook);
        Assert.Equal(["http://*:9969"], options.Server.Urls);
        Assert.Equal(TestOptions.Read().Handshake.Buckets, options.Handshake.Buckets);
    }

    [Fact]
    public void Everything_that_is_wrong_is_said_at_once()
    {
        var errors = TestOptions.ErrorsOf(
            ("Drain:Interval", "5"), ("Attach:Include", "("), ("Bpf:MaxInterfaces", "0"), ("Server:Urls", "x"), ("Drain:Intervall", "00:00:01"));

        Assert.Equal(
            ["Attach:Include", "Bpf:MaxInterfaces", "Drain:Interval", "Drain:Intervall", "Server:Urls"],
            errors.Select(error => error[..error.IndexOf(": ", StringComparison.Ordinal)]).Order(StringComparer.Ordinal));
    }

    /// <summary>As of the sinks: a start would fail because of it.</summary>
    [Fact]
    public void Files_of_the_server_that_cannot_be_used_are_all_said_at_once()
    {
        using var files = new CertificateFiles();
        var (certificate, key) = (files.Settings[0].Value, files.Settings[1].Value);
        (string, string?)[] others = [("Server:BearerTokenFile", "/nowhere/token"), ("Server:BasicAuthFile", certificate)];

        Assert.Equal(
            [
                "Server:CertificateFile: with Server:KeyFile it is not a certificate with its key in PEM",
                "Server:BearerTokenFile: /nowhere/token cannot be read: there is no file '/nowhere/token'.",
                "Server:BasicAuthFile: has to hold lines of the form name:password, and line 1 is not one.",
            ],
            TestOptions.ErrorsOf([("Server:CertificateFile", certificate), ("Server:KeyFile", certificate), .. others]).Select(error => error.Split(": The ")[0]));
        Assert.StartsWith(
            "Server:CertificateFile: /nowhere cannot be read", Assert.Single(TestOptions.ErrorsOf(("Server:CertificateFile", "/nowhere"), ("Server:KeyFile", key))), StringComparison.Ordinal);
        Assert.Empty(TestOptions.ErrorsOf(files.Settings));
    }

    [Fact]
    public void A_duration_error_says_what_is_possible()
    {
        var error = Assert.Single(TestOptions.ErrorsOf(("Drain:Interval", "00:02:00")));

        Assert.Contains("00:00:00.1000000 to 00:01:00", error, StringComparison.Ordinal);
    }

    /// <summary>Each of these is a nanosecond less when it is multiplied as a double.</summary>
    [Fact]
    public void Bounds_are_exact_to_the_nanosecond() =>
        Assert.Equal(
            [1_005ul, 1_001_000_000, 4_100_000_000, 8_200_000_000, 64_100_000_000],
            TestOptions.Read(("Handshake:Buckets", "0.000001005;1.001;4.1;8.2;64.1")).Handshake.Buckets);

    [Theory]
    [InlineData("Nothing")]
    [InlineData("Drain")]
    [InlineData("Drain:Intervals")]
    [InlineData("Attach:Hook:Name")]
    [InlineData("Server:Urls:0")]
    [InlineData("Logging")]
    [InlineData("LoggingLevel:Default")]
    public void An_unknown_option_is_named(string key)
    {
        var error = Assert.Single(TestOptions.ErrorsOf((key, "x")));

        Assert.StartsWith($"{key}: there is no such option", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Identity:Wait", "Identity:HoldFor")]
    [InlineData("handshake:maxlate", "Handshake:MaxRetransmitting")]
    [InlineData("Attach:CheckInterval", "Attach:CoverageInterval")]
    [InlineData("Metrics:Sizes", "Metrics:PacketSizes")]
    public void An_option_s_previous_name_is_an_error_that_says_the_new_one(string previous, string name) =>
        Assert.Equal($"{previous}: this option is called {name} now; use that name.", Assert.Single(TestOptions.ErrorsOf((previous, "x"))));

    [Fact]
    public void Unknown_options_in_nested_sections_of_a_file_are_named()
    {
        var reader = TestOptions.JsonReader("""{"Drain": {"Interval": "00:00:02", "Pause": {"Each": "1"}}, "Extra": ["a", "b"]}""");
        ExporterOptions.Read(reader);

        Assert.Equal(
            ["Drain:Pause:Each", "Extra:0", "Extra:1"],
            reader.Errors.Select(error => error[..error.IndexOf(": ", StringComparison.Ordinal)]));
    }

    [Theory]
    [InlineData("drain:interval")]
    [InlineData("DRAIN:INTERVAL")]
    public void Keys_are_read_whatever_their_case(string key) =>
        Assert.Equal(TimeSpan.FromSeconds(3), TestOptions.Read((key, "00:00:03")).Drain.Interval);

    [Theory]
    [InlineData("Logging:LogLevel:Default", "Debug")]
    [InlineData("LOGGING:LOGLEVEL:EXPORTER", "none")]
    [InlineData("Logging:LogLevel:Microsoft.AspNetCore", "")]
    [InlineData("Logging:Console:LogLevel:Default", "Warning")]
    [InlineData("logging:console:logtostandarderrorthreshold", "Error")]
    public async Task The_levels_of_the_logging_section_are_the_framework_s(string key, string level)
    {
        Assert.Empty(TestOptions.ErrorsOf((key, level)));

        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new(key, level)]).Build();
        await using var server = await ServerHost.StartAsync(TestOptions.Read(("Server:Urls", "http://127.0.0.1:0")).Server, configuration);
    }

    [Theory]
    [InlineData("Logging:LogLevel:Default", "info")]
    [InlineData("Logging:LogLevel:Default", "warn")]
    [InlineData("Logging:LogLevel:Exporter.Commands", "Bogus")]
    [InlineData("Logging:LogLevel:Default", "99")]
    [InlineData("Logging:LogLevel:Default", "Debug,Information")]
    [InlineData("logging:loglevel:default", "true")]
    [InlineData("Logging:Console:LogLevel:Default", "nope")]
    [InlineData("Logging:Console:LogToStandardErrorThreshold", "on")]
    [InlineData("Logging:Console:LogToStandardErrorThreshold", "")]
    public void A_level_that_the_framework_does_not_have_is_refused(string key, string level) =>
        Assert.Equal(
            $"{key}: '{level}' is not one of Trace, Debug, Information, Warning, Error, Critical, None.",
            Assert.Single(TestOptions.ErrorsOf((key, level))));

    [Theory]
    [InlineData("Logging:Level")]
    [InlineData("Logging:LogLevel")]
    [InlineData("Logging:LogLvl:Default")]
    [InlineData("Logging:LogLevel:Exporter:Commands")]
    [InlineData("Logging:Console:LogLevel")]
    [InlineData("Logging:Console:FormatterName")]
    [InlineData("Logging:Debug:LogLevel:Default")]
    [InlineData("Logging:Consol:LogLevel:Default")]
    public void A_key_of_the_logging_section_that_does_nothing_is_refused(string key) =>
        Assert.StartsWith($"{key}: there is no such option", Assert.Single(TestOptions.ErrorsOf((key, "Debug"))), StringComparison.Ordinal);

    [Fact]
    public void A_level_of_a_file_can_be_null() => Assert.Empty(TestOptions.JsonReader("""{"Logging": {"LogLevel": {"Default": null}}}""").Errors);

    [Fact]
    public void Numbers_and_an_empty_section_of_a_file_are_understood()
    {
        var reader = TestOptions.JsonReader("""{"Bpf": {"MaxInterfaces": 2048}, "Drain": {}, "Metrics": {"Retention": null}}""");
        var options = ExporterOptions.Read(reader);

        Assert.Empty(reader.Errors);
        Assert.Equal(2048, options.Bpf.MaxInterfaces);
        Assert.Equal(TimeSpan.FromMinutes(2), options.Metrics.Retention);
    }
}
