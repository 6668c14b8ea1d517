using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Threading.Channels;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The built binary, running.</summary>
internal sealed partial class ExporterProcess : IDisposable
{

    /// <summary>Between scrapes: a metric has no event to wait for.</summary>
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(20);

    private readonly Process _process;
    private readonly Channel<string> _lines = Channel.CreateUnbounded<string>();
    private readonly List<string> _log = [];
    private readonly HttpClient _http;

    private ExporterProcess(int port, IEnumerable<string> command)
    {
        Port = port;
        _http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{port}") };
        var arguments = command.ToList();
        _process = new Process
        {
            StartInfo = new(arguments[0], arguments[1..]) { RedirectStandardOutput = true, RedirectStandardError = true },
        };
        _process.OutputDataReceived += (_, line) => OnLine(line.Data);
        _process.ErrorDataReceived += (_, line) => OnLine(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The binary that `make build` makes.</summary>
    internal static string Binary { get; } = Path.Combine(Repository.Root, "artifacts", "podnet-exporter");

    internal int Port { get; }

    internal int Id => _process.Id;

    internal IReadOnlyList<string> Log
    {
        get
        {
            lock (_log)
            {
                return [.. _log];
            }
        }
    }

    /// <summary>Starts it on a free port of the loopback interface and waits until it listens.</summary>
    internal static Task<ExporterProcess> StartAsync(params string[] options) => StartBehindAsync([Binary], options);

    /// <summary>As <see cref="StartAsync"/>, with a command that ends in the binary, such as setpriv with its arguments.</summary>
    internal static Task<ExporterProcess> StartBehindAsync(string[] command, params string[] options)
    {
        var port = FreePort();
        return StartCommandAsync(port, [.. command, .. CommonOptions(port), .. options]);
    }

    /// <summary>As <see cref="StartAsync"/>, with a command that makes it listen on this port.</summary>
    internal static async Task<ExporterProcess> StartCommandAsync(int port, string[] command)
    {
        var exporter = new ExporterProcess(port, command);
        try
        {
            await exporter.WaitUntilRunningAsync();
            return exporter;
        }
        catch
        {
            exporter.Dispose();
            throw;
        }
    }

    /// <summary>Starts it and waits for nothing.</summary>
    internal static ExporterProcess Launch(int port, params string[] options) => new(port, [Binary, .. CommonOptions(port), .. options]);

    /// <summary>As <see cref="Launch"/>, with a command in the place of the binary.</summary>
    internal static ExporterProcess LaunchInstead(string[] command, params string[] options)
    {
        var port = FreePort();
        return new(port, [.. command, .. CommonOptions(port), .. options]);
    }

    /// <summary>As <see cref="Launch"/>, with a command that becomes the binary, as ip netns exec does.</summary>
    internal static ExporterProcess LaunchBehind(int port, string[] command, params string[] options) => new(port, [.. command, Binary, .. CommonOptions(port), .. options]);

    /// <summary>Runs it to its end.</summary>
    internal static (int ExitCode, string Output, string Error) Run(params string[] arguments) => Shell.TryRun(Binary, arguments);

    internal static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Waits until it counts, or waits for another one to end.</summary>
    internal Task WaitUntilRunningAsync() => WaitForLogAsync("Counting by", "Another exporter holds the lock");

    /// <summary>Waits for a line that contains one of the texts, which may have come already.</summary>
    internal async Task WaitForLogAsync(params string[] texts)
    {
        bool Has(string line) => texts.Any(text => line.Contains(text, StringComparison.Ordinal));
        using var deadline = new CancellationTokenSource(Silence.Limit);
        if (Log.Any(Has))
        {
            return;
        }
        try
        {
            while (!Has(await _lines.Reader.ReadAsync(deadline.Token)))
            {
            }
        }
        catch (Exception e) when (e is ChannelClosedException or OperationCanceledException)
        {
            throw new InvalidOperationException($"No line with '{string.Join("' or '", texts)}' came:\n{string.Join('\n', Log)}");
        }
    }

    /// <summary>Waits until this many lines contain the text, those that have come already among them.</summary>
    internal async Task WaitForLogAsync(string text, int lines)
    {
        using var deadline = new CancellationTokenSource(Silence.Limit);
        while (Log.Count(line => line.Contains(text, StringComparison.Ordinal)) < lines)
        {
            await _lines.Reader.ReadAsync(deadline.Token);
        }
    }

    /// <summary>Requests show this name and password from now on.</summary>
    internal void Authorize(string name, string password) =>
        _http.DefaultRequestHeaders.Authorization = new("Basic", Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{name}:{password}")));

    internal Task<string> GetAsync(string path) => _http.GetStringAsync(path);

    /// <summary>The metrics in the format that Prometheus asks for.</summary>
    internal async Task<string> GetOpenMetricsAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Accept.ParseAdd("application/openmetrics-text; version=1.0.0");
        using var response = await _http.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    internal Task<HttpResponseMessage> RequestAsync(string path) => _http.GetAsync(path);

    internal async Task<MetricSamples> ScrapeAsync() => new(await GetAsync("/metrics"));

    /// <summary>Scrapes until the samples are as wanted: at the latest some drains later.</summary>
    internal Task<MetricSamples> ScrapeUntilAsync(Func<MetricSamples, bool> wanted) => AskUntilAsync(ScrapeAsync, wanted);

    internal Task<ShownPods> GetPodsUntilAsync(Func<ShownPods, bool> wanted) => AskUntilAsync(async () => new ShownPods(await GetAsync("/api/v1/pods")), wanted);

    /// <summary>Waits until everything that an interface carries is counted: its pod has series before that.</summary>
    internal Task WaitForAttachedAsync(string name) => GetPodsUntilAsync(pods => pods.Attached.Contains(name));

    /// <summary>A pod that is up, and was not before everything that it carries is counted.</summary>
    internal async Task<Pod> AddPodAsync()
    {
        var pod = new Pod();
        try
        {
            await WaitForAttachedAsync(pod.Interface);
            return pod.Up();
        }
        catch
        {
            pod.Dispose();
            throw;
        }
    }

    /// <summary>A pod with the IPv4 addresses of one that is gone, as when its sandbox is made again; up once it is counted.</summary>
    internal async Task<Pod> AddPodAgainAsync(IPAddress hostAddress, IPAddress address)
    {
        var pod = new Pod();
        try
        {
            await WaitForAttachedAsync(pod.Interface);
            Shell.Ip($"addr add {hostAddress}/30 dev {pod.Interface}");
            Shell.Ip($"link set {pod.Interface} up");
            pod.Namespace.Ip($"addr add {address}/30 dev eth0");
            pod.Namespace.Ip("link set eth0 up");
            return pod;
        }
        catch
        {
            pod.Dispose();
            throw;
        }
    }

    /// <summary>What it has that keeps a BPF program attached: links, and the events that kprobes are.</summary>
    internal IReadOnlyList<string> FindAttachments() =>
    [
        .. Directory.GetFiles($"/proc/{Id.ToString(CultureInfo.InvariantCulture)}/fd").Select(file => new FileInfo(file).LinkTarget ?? "")
            .Where(target => target.Contains("bpf_link", StringComparison.Ordinal) || target.Contains("bpf-raw-tracepoint", StringComparison.Ordinal) || target.Contains("perf_event", StringComparison.Ordinal)),
    ];

    /// <summary>Ends it as Kubernetes does, and returns the exit code.</summary>
    internal int Terminate()
    {
        Shell.Run("kill", "-TERM", Id.ToString(CultureInfo.InvariantCulture));
        _process.WaitForExit();
        return _process.ExitCode;
    }

    internal bool HasExited => _process.HasExited;

    /// <summary>Returns the exit code of one that is ended by somebody.</summary>
    internal int WaitForExit()
    {
        _process.WaitForExit();
        return _process.ExitCode;
    }

    internal void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }
        _process.Dispose();
        _http.Dispose();
    }

    private static string[] CommonOptions(int port) => [$"--Server:Urls=http://127.0.0.1:{port}", "--Drain:Interval=00:00:00.1"];

    /// <summary>Asks until the answer is as wanted: at the latest some drains later.</summary>
    internal async Task<T> AskUntilAsync<T>(Func<Task<T>> ask, Func<T, bool> wanted)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            T? answer = default;
            try
            {
                answer = await ask();
                if (wanted(answer))
                {
                    return answer;
                }
            }
            catch (HttpRequestException e) when (e.StatusCode == HttpStatusCode.ServiceUnavailable)
            {
                // Others ask as well, and only so many are answered at once.
            }
            if (Stopwatch.GetElapsedTime(started) > Silence.Limit)
            {
                throw new InvalidOperationException($"The answer did not become what was wanted:\n{answer}\n{string.Join('\n', Log)}");
            }
            await Task.Delay(Pace);
        }
    }

    private void OnLine(string? line)
    {
        if (line is null)
        {
            // Standard output and standard error both end with it; no line follows either.
            _lines.Writer.TryComplete();
            return;
        }
        lock (_log)
        {
            _log.Add(line);
        }
        _lines.Writer.TryWrite(line);
    }
}

/// <summary>What a scrape returned.</summary>
internal sealed partial class MetricSamples(string text)
{
    private readonly Dictionary<string, double> _samples = text.Split('\n')
        .Where(line => line.Length > 0 && line[0] != '#')
        .ToDictionary(line => line[..line.LastIndexOf(' ')], line => double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    internal string Text => text;

    internal IEnumerable<KeyValuePair<string, double>> All => _samples;

    /// <summary>One series by its exact name with labels; null where there is none.</summary>
    internal double? this[string series] => _samples.TryGetValue(series, out var value) ? value : null;

    /// <summary>The sum over the series of a family that have all these labels, written as in the text: <c>pod="a"</c>.</summary>
    internal double Sum(string family, params string[] labels) =>
        _samples.Where(sample => sample.Key.Split('{')[0] == family && labels.All(label => sample.Key.Contains(label, StringComparison.Ordinal))).Sum(sample => sample.Value);

    internal int CountLines() => _samples.Count;

    /// <summary>Sample lines of the pods' families.</summary>
    internal int CountPodLines() => _samples.Keys.Count(series => PodFamily().IsMatch(series));

    internal bool HasPod(string pod) => _samples.Keys.Any(series => series.Contains($"pod=\"{pod}\"", StringComparison.Ordinal));

    /// <summary>The pod's packets and bytes, as <see cref="Pod.ReadCounters"/> has them.</summary>
    internal InterfaceCounters Traffic(string pod) => new(
        (ulong)Sum("podnet_transmit_packets_total", $"pod=\"{pod}\""),
        (ulong)Sum("podnet_transmit_bytes_total", $"pod=\"{pod}\""),
        (ulong)Sum("podnet_receive_packets_total", $"pod=\"{pod}\""),
        (ulong)Sum("podnet_receive_bytes_total", $"pod=\"{pod}\""),
        0);

    /// <summary>The packets and bytes of a workload with all its peers.</summary>
    internal InterfaceCounters Edges(string workload) => new(
        (ulong)Sum("podnet_edge_transmit_packets_total", $"workload=\"{workload}\""),
        (ulong)Sum("podnet_edge_transmit_bytes_total", $"workload=\"{workload}\""),
        (ulong)Sum("podnet_edge_receive_packets_total", $"workload=\"{workload}\""),
        (ulong)Sum("podnet_edge_receive_bytes_total", $"workload=\"{workload}\""),
        0);

    public override string ToString() => ExceptComments().Replace(text, "");

    [GeneratedRegex("^podnet_(transmit|receive|packet|tcp)_")]
    private static partial Regex PodFamily();

    [GeneratedRegex("^#.*\n", RegexOptions.Multiline)]
    private static partial Regex ExceptComments();
}

/// <summary>What /api/v1/pods says.</summary>
internal sealed class ShownPods(string text)
{
    internal JsonElement Root { get; } = JsonElement.Parse(text);

    /// <summary>The names of the interfaces that are counted.</summary>
    internal IEnumerable<string> Attached => FindInterfaces(found => found.GetProperty("state").GetString() == "attached");

    /// <summary>The names of the interfaces whose addresses are known.</summary>
    internal IEnumerable<string> Addressed => FindInterfaces(found => found.GetProperty("addresses").GetArrayLength() > 0);

    /// <summary>The pod's entry; undefined where there is none.</summary>
    internal JsonElement Pod(string name) =>
        Root.GetProperty("pods").EnumerateArray().FirstOrDefault(pod => pod.GetProperty("pod").GetString() == name);

    /// <summary>Whether the pod is known.</summary>
    internal bool Has(string name) => Pod(name).ValueKind == JsonValueKind.Object;

    /// <summary>The names of its interfaces.</summary>
    internal IReadOnlyList<string> Interfaces(string name) => Pod(name) is { ValueKind: JsonValueKind.Object } pod
        ? [.. pod.GetProperty("interfaces").EnumerateArray().Select(found => found.GetProperty("name").GetString()!)]
        : [];

    /// <summary>The sum over its interfaces, as <see cref="Pod.ReadCounters"/> has them.</summary>
    internal InterfaceCounters Traffic(string name)
    {
        var interfaces = Pod(name) is { ValueKind: JsonValueKind.Object } pod ? pod.GetProperty("interfaces").EnumerateArray().ToList() : [];
        return new(Sum("transmit", "packets"), Sum("transmit", "bytes"), Sum("receive", "packets"), Sum("receive", "bytes"), 0);

        ulong Sum(string direction, string unit) =>
            interfaces.Aggregate(0ul, (sum, found) => sum + found.GetProperty(direction).GetProperty(unit).GetUInt64());
    }

    public override string ToString() => text;

    /// <summary>Those of pods, and those without one.</summary>
    private IEnumerable<string> FindInterfaces(Func<JsonElement, bool> wanted) =>
        Root.GetProperty("pods").EnumerateArray().SelectMany(pod => pod.GetProperty("interfaces").EnumerateArray())
            .Concat(Root.GetProperty("unknown").EnumerateArray())
            .Where(wanted)
            .Select(found => found.GetProperty("name").GetString()!);
}
