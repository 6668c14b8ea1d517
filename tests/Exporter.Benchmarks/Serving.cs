using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;
using Exporter.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>What clients that open very many connections, and scrape all at once, do to probes and to memory.</summary>
internal static class Serving
{
    private const int Interfaces = 250;
    private const int HalfOpen = 12_000;
    private const int Scrapes = 400;
    private const int ConnectingAtOnce = 64;

    /// <summary>The default of Server:MaxScrapes.</summary>
    private const int ScrapesAtOnce = 4;
    private const int Singles = 200;

    internal static async Task RunAsync()
    {
        FileDescriptorLimit.Raise();
        using var veths = new Veths(Interfaces);
        veths.MakePods();
        await MeasureAsync("HTTP", veths, [Array.Empty<byte>(), Encoding.ASCII.GetBytes("GET /metrics HTTP/1.1\r\nHost: half\r\n")]);

        var directory = Directory.CreateTempSubdirectory("podnet-bench-");
        try
        {
            WriteCertificate(directory.FullName);
            await MeasureAsync(
                "TLS", veths, [Array.Empty<byte>(), await ClientHello.RecordAsync()], $"--Server:CertificateFile={directory}/tls.crt", $"--Server:KeyFile={directory}/tls.key");
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <param name="beginnings">What half-open connections send, in turn.</param>
    private static async Task MeasureAsync(string protocol, Veths veths, IReadOnlyList<byte[]> beginnings, params string[] options)
    {
        Table.Begin($"{HalfOpen} half-open connections and {Scrapes} scrapes at once over {protocol}");
        var port = ExporterProcess.FreePort();
        var url = $"{(protocol == "TLS" ? "https" : "http")}://127.0.0.1:{port}";
        using var exporter = await ExporterProcess.StartCommandAsync(
            port, [ExporterProcess.Binary, $"--Server:Urls={url}", "--Attach:Hook=clsact", "--Bpf:PinDirectory=", .. options]);
        using var http = NewClient(url);
        while (new MetricSamples(await http.GetStringAsync("/metrics"))["podnet_exporter_interfaces{state=\"attached\"}"] != Interfaces)
        {
            await Task.Delay(100);
        }
        veths.SendFrames();
        // As it is after some hours: what scrapes, with gzip and at once, leave in the heap is there.
        for (var i = 0; i < 50; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => AskAsync(http, "/metrics")));
        }
        if (protocol == "HTTP")
        {
            await RefuseAsync(url);
        }
        var before = await LeastResidentAsync(exporter.Id);

        using var probe = new Probe(port, protocol == "TLS");
        var sockets = await ConnectAsync(port, beginnings);
        var whileOpening = probe.Take();
        // With a client of its own: what it keeps open of its connections has to be closed before memory is looked at.
        var scraper = NewClient(url);
        var scrapes = await Task.WhenAll(Enumerable.Range(0, Scrapes).Select(_ => AskAsync(scraper, "/metrics")));
        var whileScraping = probe.Take();
        var load = File.ReadAllText("/proc/loadavg").Split(' ')[0];
        var during = Footprint.ResidentKilobytes(exporter.Id) / 1024.0;
        sockets.ForEach(socket => socket.Dispose());
        scraper.Dispose();
        var refused = new MetricSamples(await http.GetStringAsync("/metrics")).Sum("podnet_exporter_server_refusals_total", "reason=\"connections\"");
        var after = await LeastResidentAsync(exporter.Id);

        Table.Row("connections closed to make room for others", refused, "");
        Table.Row("scrapes answered", scrapes.Count(scrape => scrape.Status == HttpStatusCode.OK), "");
        Table.Row("scrapes refused with 503", scrapes.Count(scrape => scrape.Status == HttpStatusCode.ServiceUnavailable), "");
        Table.Row("scrapes without an answer", scrapes.Count(scrape => scrape.Status == default), "");
        Table.Row("503 to one of these scrapes, median", Median(scrapes), " ms");
        Show("while they are opened", whileOpening);
        Show("during the scrapes", whileScraping);
        Table.Row("load average meanwhile", double.Parse(load, CultureInfo.InvariantCulture), "");
        Table.Row("resident memory before", before, " MiB");
        Table.Row("resident memory at the end of the scrapes, beyond that", during - before, " MiB");
        Table.Row("resident memory after all is closed, beyond that before", after - before, " MiB", most: 5);
    }

    /// <summary>Asks for one scrape after the other while other clients keep all places that there are.</summary>
    private static async Task RefuseAsync(string url)
    {
        using var http = NewClient(url);
        using var over = new CancellationTokenSource();
        var others = Enumerable.Range(0, ScrapesAtOnce).Select(_ => ScrapeUntilAsync(url, over.Token)).ToArray();
        var answers = new List<(HttpStatusCode Status, TimeSpan Took)>();
        for (var i = 0; i < Singles; i++)
        {
            answers.Add(await AskAsync(http, "/metrics"));
            await Task.Delay(10);
        }
        await over.CancelAsync();
        await Task.WhenAll(others);
        Table.Row($"503 to a single scrape while {ScrapesAtOnce} others run, median", Median(answers), " ms", most: 100);
        var refused = answers.Where(answer => answer.Status == HttpStatusCode.ServiceUnavailable).ToList();
        Table.Row($"the slowest of these {refused.Count}", refused.Max(answer => answer.Took.TotalMilliseconds), " ms");
    }

    private static async Task ScrapeUntilAsync(string url, CancellationToken over)
    {
        using var http = NewClient(url);
        while (!over.IsCancellationRequested)
        {
            await AskAsync(http, "/metrics");
        }
    }

    private static void Show(string when, (double Slowest, int Answered, int Asked) probes)
    {
        Table.Row($"/healthz on a new connection {when}, slowest", probes.Slowest, " ms", most: 1000);
        Table.Row($"/healthz {when}, answered", 100.0 * probes.Answered / probes.Asked, " %", least: 100);
    }

    /// <summary>The least of half a minute: memory is given back at a collection and at the next drains.</summary>
    private static async Task<double> LeastResidentAsync(int process)
    {
        var least = double.MaxValue;
        for (var second = 0; second < 30; second++)
        {
            await Task.Delay(TimeSpan.FromSeconds(1));
            least = Math.Min(least, Footprint.ResidentKilobytes(process) / 1024.0);
        }
        return least;
    }

    private static async Task<List<Socket>> ConnectAsync(int port, IReadOnlyList<byte[]> beginnings)
    {
        var sockets = new List<Socket>(HalfOpen);
        await Parallel.ForAsync(0, HalfOpen, new ParallelOptions { MaxDegreeOfParallelism = ConnectingAtOnce }, async (i, _) =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            lock (sockets)
            {
                sockets.Add(socket);
            }
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port, CancellationToken.None);
                await socket.SendAsync(beginnings[i % beginnings.Count]);
            }
            catch (SocketException)
            {
                // It is closed already.
            }
        });
        return sockets;
    }

    private static double Median(IEnumerable<(HttpStatusCode Status, TimeSpan Took)> scrapes)
    {
        var refused = scrapes.Where(scrape => scrape.Status == HttpStatusCode.ServiceUnavailable).Select(scrape => scrape.Took.TotalMilliseconds).Order().ToList();
        return refused.Count > 0 ? refused[refused.Count / 2] : 0;
    }

    /// <summary>The status and how long it took; no status if the server closed the connection.</summary>
    private static async Task<(HttpStatusCode Status, TimeSpan Took)> AskAsync(HttpClient http, string path)
    {
        var started = Stopwatch.GetTimestamp();
        try
        {
            using var response = await http.GetAsync(path);
            return (response.StatusCode, Stopwatch.GetElapsedTime(started));
        }
        catch (HttpRequestException)
        {
            return (default, Stopwatch.GetElapsedTime(started));
        }
    }

    private static HttpClient NewClient(string url)
    {
        var handler = new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.GZip };
#pragma warning disable CA5359 // The server's certificate was made a moment ago, by this program.
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        return new HttpClient(handler) { BaseAddress = new Uri(url), Timeout = TimeSpan.FromMinutes(2) };
    }

    private static void WriteCertificate(string directory)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=bench", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddHours(1));
        File.WriteAllText(Path.Combine(directory, "tls.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(Path.Combine(directory, "tls.key"), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>
    /// Asks for /healthz again and again, each time on a new connection, as the kubelet does. On a thread of its own, by blocking calls: what
    /// else this process does is not measured.
    /// </summary>
    private sealed class Probe : IDisposable
    {
        private readonly int _port;
        private readonly bool _isTls;
        private readonly Thread _thread;
        private readonly Lock _lock = new();
        private volatile bool _isEnding;
        private double _slowest;
        private int _answered;
        private int _asked;

        internal Probe(int port, bool isTls)
        {
            (_port, _isTls) = (port, isTls);
            _thread = new(Run) { IsBackground = true };
            _thread.Start();
        }

        /// <summary>Since the last call: the longest that an answer took, in milliseconds, how many there were, and how many were asked for.</summary>
        internal (double Slowest, int Answered, int Asked) Take()
        {
            lock (_lock)
            {
                var taken = (_slowest, _answered, _asked);
                (_slowest, _answered, _asked) = (0, 0, 0);
                return taken;
            }
        }

        public void Dispose()
        {
            _isEnding = true;
            _thread.Join();
        }

        private void Run()
        {
            while (!_isEnding)
            {
                var started = Stopwatch.GetTimestamp();
                var isAnswered = Ask();
                lock (_lock)
                {
                    _asked++;
                    _answered += isAnswered ? 1 : 0;
                    _slowest = Math.Max(_slowest, isAnswered ? Stopwatch.GetElapsedTime(started).TotalMilliseconds : 0);
                }
                Thread.Sleep(20);
            }
        }

        private bool Ask()
        {
            try
            {
                using var client = new TcpClient("127.0.0.1", _port);
                using var stream = Secure(client.GetStream());
                stream.Write("GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n"u8);
                var answer = new byte[256];
                return Encoding.ASCII.GetString(answer, 0, stream.Read(answer)).StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                return false;
            }
        }

        private Stream Secure(NetworkStream stream)
        {
            if (!_isTls)
            {
                return stream;
            }
#pragma warning disable CA5359 // The server's certificate was made a moment ago, by this program.
            var tls = new SslStream(stream, leaveInnerStreamOpen: false, (_, _, _, _) => true);
#pragma warning restore CA5359
            tls.AuthenticateAsClient("localhost");
            return tls;
        }
    }
}
