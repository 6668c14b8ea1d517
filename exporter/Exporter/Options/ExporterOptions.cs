using System.Text.RegularExpressions;
using Exporter.Bpf;
using Exporter.Metrics;
using Exporter.Pods;

namespace Exporter.Options;

/// <summary>Everything that can be set, read and checked at the start, and when a file of options changes. docs/options.md describes each.</summary>
internal sealed record ExporterOptions(
    ServerOptions Server,
    AttachOptions Attach,
    DrainOptions Drain,
    HandshakeOptions Handshake,
    IdentityOptions Identity,
    KubernetesOptions Kubernetes,
    MetricsOptions Metrics,
    BpfOptions Bpf)
{
    private const string UrlsKey = "Server:Urls";

    /// <summary>Reads every option; what is wrong is noted in the reader, and stands as its default in the result.</summary>
    internal static ExporterOptions Read(OptionReader reader)
    {
        var options = ReadAll(reader);
        if (options.Server.HasTls && !reader.IsSet(UrlsKey))
        {
            options = options with { Server = options.Server with { Urls = ["https://*:9969"] } };
        }
        var plan = SeriesPlan.Create(options.Metrics, options.Handshake);
        reader.Require(
            plan.FixedLines <= options.Metrics.MaxSeries,
            "Metrics:MaxSeries",
            $"is less than the {plan.FixedLines} sample lines that have to be set aside for the host and for what is folded; raise it, or count less per pod");
        CheckServer(reader, options.Server);
        reader.Require(options.Bpf.PinDirectory is "" or ['/', ..], "Bpf:PinDirectory", "is not a path from the root on, like /sys/fs/bpf/podnet");
        return options;
    }

    private static void CheckServer(OptionReader reader, ServerOptions server)
    {
        reader.Require(server.KeyFile.Length > 0 == server.CertificateFile.Length > 0, "Server:KeyFile", "does not go with Server:CertificateFile; set both, or none");
        reader.Require(
            server.HasTls || !server.Urls.Any(IsHttps), UrlsKey, "has https, and there is no certificate; set Server:CertificateFile and Server:KeyFile");
        reader.Require(!server.HasTls || server.Urls.All(IsHttps), UrlsKey, "has http, and Server:CertificateFile is set; write https");

        static bool IsHttps(string url) => url.StartsWith("https:", StringComparison.OrdinalIgnoreCase);
    }

    private static ExporterOptions ReadAll(OptionReader reader)
    {
        // Read before all others, by OptionFiles.
        reader.Text(OptionFiles.FileKey, "a path", "A file with options, as appsettings.json has them, which wins over that; read again when it changes; empty: there is none. It cannot be set in a file.");
        return ReadOptions(reader);
    }

    private static ExporterOptions ReadOptions(OptionReader reader) => new(
        new(
            reader.Urls(UrlsKey, "http://*:9969", "Where to listen; several addresses are separated by semicolons. With a certificate they are https://, also the default, and without it http://."),
            reader.Text("Server:CertificateFile", "a path", "The server's certificate in PEM, followed by those of its issuers; empty: no TLS. Read anew when it changes, as the three that follow."),
            reader.Text("Server:KeyFile", "a path", "The certificate's private key in PEM."),
            reader.Text("Server:BearerTokenFile", "a path", "A token that whoever asks for metrics or pods has to show; empty: none."),
            reader.Text("Server:BasicAuthFile", "a path", "Lines name:password; whoever asks for metrics or pods has to show one of them; empty: none."),
            reader.Number(
                "Server:MaxConnections",
                256,
                16,
                65536,
                "How many connections may be open; beyond that the oldest without a finished request is closed, so that a probe gets in."),
            reader.Duration(
                "Server:HeaderTimeout",
                TimeSpan.FromSeconds(10),
                TimeSpan.FromSeconds(1),
                TimeSpan.FromMinutes(5),
                "How long a client may take from connecting to the end of its request's headers, the TLS handshake included."),
            reader.Number("Server:MaxHeaderSize", 32768, 1024, 1048576, "How many bytes a request's headers may have; the request line may have as many, up to 8192."),
            reader.Number(
                "Server:MaxScrapes", 4, 1, 256, "How many scrapes may run at once, and as many requests for the other pages; beyond that the answer is 503 with Retry-After.")),
        new(
            reader.Choice("Attach:Hook", HookChoice.Auto, "How to attach: tcx where the kernel has it, else clsact; or one of the two."),
            reader.Pattern("Attach:Include", "Only interfaces whose name matches this regular expression; empty: all pod interfaces."),
            reader.Pattern("Attach:Exclude", "Not the interfaces whose name matches this regular expression; empty: none."),
            (ushort)reader.Number("Attach:Priority", 10, 1, 0xfff0, "The TC priority of clsact filters; lower runs earlier."),
            reader.Duration(
                "Attach:CheckInterval",
                TimeSpan.FromSeconds(15),
                TimeSpan.FromSeconds(1),
                TimeSpan.FromHours(1),
                "How often the counts are compared with the interfaces' own counters, to find programs that were removed or are bypassed.")),
        new(reader.Duration(
            "Drain:Interval",
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMilliseconds(100),
            TimeSpan.FromMinutes(1),
            "How often the counters are fetched from the kernel.")),
        new(
            reader.Choice(
                "Handshake:Hook",
                HandshakeChoice.Auto,
                "How to see TCP handshakes: auto is by tracepoints, with kprobes for what these do not see, or else by kprobes; or only by one of the two; or not at all."),
            reader.Bounds(
                "Handshake:Buckets",
                "0.00005;0.0001;0.0002;0.0005;0.001;0.002;0.005;0.01;0.02;0.05;0.1;0.2;0.5;1;2;5;10;30",
                TcpHandshakePrograms.MaxBounds,
                "The bounds of podnet_tcp_handshake_duration_seconds, in seconds."),
            reader.Number(
                "Handshake:MaxLate",
                16384,
                1,
                1 << 20,
                "How many handshakes can be remembered whose SYN or SYN-ACK was sent again; each takes about 100 bytes of kernel memory.")),
        new(
            reader.Choice(
                "Identity:Source",
                IdentityChoice.Auto,
                "Who says which pod an interface belongs to: kubernetes, the API server; standalone, the names of network namespaces; auto is kubernetes in a pod and where Kubernetes:Kubeconfig is set, else standalone."),
            reader.Duration(
                "Identity:Wait",
                TimeSpan.FromSeconds(30),
                TimeSpan.Zero,
                TimeSpan.FromHours(1),
                "How long traffic of an interface is held until its pod is known; then it is counted as unattributed.")),
        new(
            reader.Text("Kubernetes:NodeName", "the name of a node", "The node whose pods these are; empty: the environment variable NODE_NAME."),
            reader.Text("Kubernetes:Kubeconfig", "a path", "A kubeconfig file that says how to reach the API server; empty: as a pod of the cluster."),
            reader.Text("Kubernetes:Context", "a context", "The kubeconfig file's context; empty: its current one.")),
        new(
            reader.Duration(
                "Metrics:Retention",
                TimeSpan.FromMinutes(2),
                TimeSpan.Zero,
                TimeSpan.FromDays(1),
                "How long a pod's series stay after its last interface is gone, so that the last scrape sees the final totals."),
            reader.List(
                "Metrics:PodLabels",
                "namespace;pod",
                "namespace, pod, workload, workload_kind, node, label:KEY",
                "The labels of the pods' series; pods that have all of them in common share their series.",
                ParsePodLabels),
            reader.List("Metrics:Namespaces", "", "namespaces", "Only pods of these namespaces have series; empty: those of all.", ParseNamespaces),
            reader.List("Metrics:ExcludedNamespaces", "", "namespaces", "Pods of these namespaces have no series.", ParseNamespaces),
            reader.Number(
                "Metrics:MaxSeries",
                30_000,
                1,
                10_000_000,
                "How many sample lines the pods' families can have together; pods that have no room are counted under __other__."),
            reader.Number(
                "Metrics:MaxPods", 1000, 0, 65536, "How many pods (workloads, namespaces) can have series of their own, however few; the others are counted under __other__."),
            reader.Choice(
                "Metrics:Aggregation",
                SeriesLevel.Pod,
                "What series stand for: a pod, or together all pods of a workload, or of a namespace."),
            reader.Choice("Metrics:Segments", FamilyLevel.Same, "The same for podnet_transmit_segments_total and podnet_receive_segments_total alone; off: there are none."),
            reader.Choice("Metrics:Sizes", FamilyLevel.Same, "The same for podnet_packet_size_bytes alone; off: there is none."),
            reader.Choice(
                "Metrics:Handshakes", FamilyLevel.Same, "The same for the families of TCP handshakes alone; off: there are none. Handshake:Hook=off also spares the kernel the programs.")),
        new(
            reader.Number(
                "Bpf:MaxInterfaces",
                1024,
                1,
                65536,
                "How many interfaces can have traffic, and how many network namespaces handshakes, between two drains; each takes about 1 KiB of kernel memory for every CPU and 3 KiB more."),
            reader.Switch(
                "Bpf:RunStatistics",
                false,
                "Have the kernel measure the run time of BPF programs, of all on the machine; needs CAP_SYS_ADMIN."),
            reader.Text(
                "Bpf:PinDirectory",
                "a path in a BPF file system",
                "Where programs, maps and totals are pinned, so that they outlive the process: a restart or an upgrade misses nothing of the interfaces that are there, and counters go on where they were; empty: nothing outlives it.",
                "/sys/fs/bpf/podnet"),
            reader.Text(
                "Bpf:ObjectDirectory",
                "a path",
                "Where to look for BPF objects, pod_traffic.bpf.o and tcp_handshake.bpf.o, that take the place of those that are built in, whenever they change; only root may be able to write there, unless it is mounted read-only; empty: nowhere."),
            reader.List(
                "Bpf:ObjectHashes",
                "",
                "SHA-256 digests in hexadecimal",
                "The digests of the objects that may be used; empty: any.",
                ParseHashes)));

    private static IReadOnlyList<PodLabel> ParsePodLabels(IReadOnlyList<string> texts)
    {
        var labels = texts.Select(PodLabel.Parse).ToArray();
        if (labels.Length == 0)
        {
            throw new FormatException("is empty; write at least one label, like namespace");
        }
        return labels.GroupBy(label => label).FirstOrDefault(group => group.Count() > 1) is { } same
            ? throw new FormatException($"has the label {same.Key.Key ?? same.Key.Name} twice")
            : PodLabel.ResolveConflicts(labels);
    }

    private static HashSet<string> ParseHashes(IReadOnlyList<string> texts)
    {
        const int Digits = 64;
        return texts.FirstOrDefault(text => text.Length != Digits || !text.All(char.IsAsciiHexDigit)) is { } wrong
            ? throw new FormatException($"has '{wrong}', which is no SHA-256: that has {Digits} hexadecimal digits, as sha256sum prints them")
            : [.. texts.Select(text => text.ToLowerInvariant())];
    }

    private static HashSet<string> ParseNamespaces(IReadOnlyList<string> texts)
    {
        const int MaxLength = 63;
        foreach (var text in texts)
        {
            // RFC 1123, as https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ wants it.
            if (text.Length > MaxLength || text.StartsWith('-') || text.EndsWith('-') || !text.All(character => char.IsAsciiLetterLower(character) || char.IsAsciiDigit(character) || character == '-'))
            {
                throw new FormatException($"has '{text}', which no namespace can be called; write names like default;kube-system");
            }
        }
        return [.. texts];
    }
}

/// <param name="CertificateFile">Empty, as each of the paths that follow: none.</param>
/// <param name="HeaderTimeout">From the connection on.</param>
/// <param name="MaxHeaderSize">Bytes.</param>
internal sealed record ServerOptions(
    IReadOnlyList<string> Urls,
    string CertificateFile,
    string KeyFile,
    string BearerTokenFile,
    string BasicAuthFile,
    int MaxConnections,
    TimeSpan HeaderTimeout,
    int MaxHeaderSize,
    int MaxScrapes)
{
    internal bool HasTls => CertificateFile.Length > 0;
}

/// <param name="Include">Null: every name.</param>
/// <param name="Exclude">Null: no name.</param>
internal sealed record AttachOptions(HookChoice Hook, Regex? Include, Regex? Exclude, ushort Priority, TimeSpan CheckInterval);

internal sealed record DrainOptions(TimeSpan Interval);

/// <param name="Buckets">In nanoseconds, ascending.</param>
internal sealed record HandshakeOptions(HandshakeChoice Hook, IReadOnlyList<ulong> Buckets, int MaxLate);

internal sealed record IdentityOptions(IdentityChoice Source, TimeSpan Wait);

/// <param name="NodeName">Empty: the environment's.</param>
/// <param name="Kubeconfig">Empty: as a pod.</param>
/// <param name="Context">Empty: the current one.</param>
internal sealed record KubernetesOptions(string NodeName, string Kubeconfig, string Context)
{
    /// <summary>What the chart sets from the downward API (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/).</summary>
    private const string NodeNameVariable = "NODE_NAME";

    private const string PodUidVariable = "POD_UID";

    /// <summary>The uid of the pod that this process runs in; null: the environment does not say.</summary>
    internal static string? FindPodUid() => Environment.GetEnvironmentVariable(PodUidVariable) is { Length: > 0 } uid ? uid : null;

    /// <summary>Null where nobody says.</summary>
    internal string? FindNodeName() =>
        NodeName.Length > 0 ? NodeName : Environment.GetEnvironmentVariable(NodeNameVariable) is { Length: > 0 } name ? name : null;
}

/// <param name="Namespaces">Empty: all.</param>
/// <param name="MaxSeries">Sample lines.</param>
internal sealed record MetricsOptions(
    TimeSpan Retention,
    IReadOnlyList<PodLabel> PodLabels,
    IReadOnlySet<string> Namespaces,
    IReadOnlySet<string> ExcludedNamespaces,
    int MaxSeries,
    int MaxPods,
    SeriesLevel Aggregation,
    FamilyLevel Segments,
    FamilyLevel Sizes,
    FamilyLevel Handshakes)
{
    /// <summary>The levels that any family is at.</summary>
    internal IEnumerable<SeriesLevel> Levels =>
        new[] { Aggregation, LevelOf(Segments), LevelOf(Sizes), LevelOf(Handshakes) }.OfType<SeriesLevel>().Distinct().Order();

    /// <summary>Null: there is no such family.</summary>
    internal SeriesLevel? LevelOf(FamilyLevel family) => family switch
    {
        FamilyLevel.Same => Aggregation,
        FamilyLevel.Pod => SeriesLevel.Pod,
        FamilyLevel.Workload => SeriesLevel.Workload,
        FamilyLevel.Namespace => SeriesLevel.Namespace,
        _ => null,
    };
}

/// <param name="PinDirectory">Empty: nothing is pinned.</param>
/// <param name="ObjectDirectory">Empty: there is none.</param>
/// <param name="ObjectHashes">In lower case; empty: any.</param>
internal sealed record BpfOptions(int MaxInterfaces, bool RunStatistics, string PinDirectory, string ObjectDirectory, IReadOnlySet<string> ObjectHashes);

internal enum HookChoice
{
    Auto,
    Tcx,
    Clsact,
}

internal enum HandshakeChoice
{
    Auto,
    Kprobe,
    Tracepoint,
    Off,
}

internal enum IdentityChoice
{
    Auto,
    Kubernetes,
    Standalone,
}

/// <summary>What series stand for: a pod, or all pods of a workload or a namespace.</summary>
internal enum SeriesLevel
{
    Pod,
    Workload,
    Namespace,
}

/// <summary>The same for some of the families.</summary>
internal enum FamilyLevel
{
    Same,
    Pod,
    Workload,
    Namespace,
    Off,
}
