using Exporter.Server;
using static Exporter.Metrics.MetricType;

namespace Exporter.Metrics;

/// <summary>The families of one <see cref="TotalCounts"/>.</summary>
internal sealed record TotalFamilies(MetricDefinition Packets, MetricDefinition Bytes, MetricDefinition Handshakes)
{
    internal IReadOnlyList<MetricDefinition> Families => [Packets, Bytes, Handshakes];

    /// <param name="name">In the families' names.</param>
    /// <param name="traffic">Which packets these are, for the families' help.</param>
    /// <param name="handshakes">Which handshakes these are.</param>
    /// <param name="details">What more there is to know.</param>
    internal static TotalFamilies Of(string name, string traffic, string handshakes, string? details = null)
    {
        var (packets, bytes, roles) = ($"podnet_exporter_{name}_packets_total", $"podnet_exporter_{name}_bytes_total", $"podnet_exporter_{name}_handshakes_total");
        return new(
            new(Counter, packets, "packets", $"Packets counted {traffic}.", PodFamilies.Direction) { Query = $"sum by (instance) (rate({packets}[5m]))", Details = details },
            new(Counter, bytes, "bytes", $"The bytes of the {name} packets.", PodFamilies.Direction) { Query = $"sum by (instance, direction) (rate({bytes}[5m]))" },
            new(Counter, roles, "handshakes", $"TCP handshakes, completed or failed, {handshakes}.", PodFamilies.Role) { Query = $"sum by (instance) (rate({roles}[5m]))" });
    }
}

/// <summary>The exporter's families about itself.</summary>
internal static class ExporterFamilies
{
    /// <summary>By <see cref="Bpf.Contract.HandshakeLoss"/>; two more that are found otherwise follow.</summary>
    internal static readonly MetricLabel HandshakeLoss = new("reason", "map_full", "map_busy", "map_error", "late_full", "untimed", "unseen", "missed");

    /// <summary>By <see cref="Bpf.Contract.LossReason"/>.</summary>
    internal static readonly MetricLabel PacketLoss = new("reason", "map_full", "map_busy", "map_error");

    internal static readonly MetricLabel AttachError = new("reason", "eperm", "einval", "emfile", "enomem", "enospc", "eopnotsupp", "removed", "pin", "other");

    /// <summary>By <see cref="Pods.InterfaceState"/>.</summary>
    internal static readonly MetricLabel InterfaceState = new("state", "pending", "attached", "failed", "shadowed");

    internal static readonly MetricDefinition BuildInfo = new(Gauge, "podnet_exporter_build_info", "1", "Always 1; the labels are the version and the architecture.", new("version"), new("arch"))
    {
        Query = "count by (version, arch) (podnet_exporter_build_info)",
    };

    internal static readonly MetricDefinition HookInfo = new(Gauge, "podnet_exporter_hook_info", "1", "Always 1; the label hook is how programs of this kind are attached.", new("kind", "traffic", "handshake", "handshake_requests"), new("hook"))
    {
        Query = "count by (kind, hook) (podnet_exporter_hook_info)",
        Details = "For traffic: tcx, clsact; for handshake: tracepoint, kprobe, off, unavailable (the log says why); for handshake_requests, how servers' failed requests are seen: kprobe, off, unavailable.",
    };

    internal static readonly MetricDefinition Standby = new(
        Gauge, "podnet_exporter_standby", "0 or 1", "1 while this process counts nothing, for this reason.", new MetricLabel("reason", "waiting", "uninstalled"))
    {
        Query = "podnet_exporter_standby == 1",
        Details = "waiting: another exporter in this network namespace holds the lock of the pin directory, see `podnet_exporter_waiting`; uninstalled: `podnet-exporter uninstall` had everything removed.",
    };

    internal static readonly MetricDefinition Waiting = new(
        Gauge, "podnet_exporter_waiting", "0 or 1", "1 while this process counts nothing because another exporter holds the lock of the pin directory.")
    {
        Query = "min_over_time(podnet_exporter_waiting[10m]) == 1",
        Details = "It is not ready meanwhile. An upgrade takes some seconds of this; if it lasts, two exporters run in one network namespace with one `Bpf:PinDirectory`.",
    };

    internal static readonly MetricDefinition Ready = new(
        Gauge, "podnet_exporter_ready", "0 or 1", "1 once this process has listed the node's interfaces and, with Kubernetes, its pods. /readyz says what is missing.")
    {
        Query = "podnet_exporter_ready == 0",
        Details = "It stays 1 afterwards; other metrics report later failures.",
    };

    internal static readonly MetricDefinition UndecidedPins = new(
        Gauge, "podnet_exporter_undecided_pin_directories", "folders", "Folders in the pin directory that the last start kept because the kernel did not say whether their network namespaces exist.")
    {
        Query = "podnet_exporter_undecided_pin_directories > 0",
        Details = "Folders of namespaces that are gone are removed by the next start. `podnet-exporter uninstall --all` removes these, with everything else.",
    };

    internal static readonly MetricDefinition Interfaces = new(Gauge, "podnet_exporter_interfaces", "interfaces", "Interfaces of pods, by their state.", InterfaceState)
    {
        Query = "podnet_exporter_interfaces{state=~\"failed|shadowed\"} > 0",
        Details = "pending: found, not attached yet; failed: attaching failed and is retried; shadowed: attached, but packets do not reach the programs.",
    };

    internal static readonly MetricDefinition AttachErrors = new(
        Counter, "podnet_exporter_attach_errors_total", "programs", "Programs that could not be attached or pinned, or that another process removed.", AttachError)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_attach_errors_total[1h])) > 0",
        Details = "eopnotsupp: the interface's `ffff:` qdisc is of the kind ingress, so what its pod receives cannot be seen by clsact; removed: another process removed them, and they were attached again; pin: attached but not pinned, so that it ends with the process, or a pin that cannot be removed.",
    };

    internal static readonly MetricDefinition ReconcileErrors = new(
        Counter, "podnet_exporter_reconcile_errors_total", "rounds", "Rounds of reconciling interfaces that failed in part; the next round retries.")
    {
        Query = "increase(podnet_exporter_reconcile_errors_total[1h]) > 0",
        Details = "A failure of a single interface is counted in `podnet_exporter_attach_errors_total` and not here.",
    };

    internal static readonly MetricDefinition LostPackets = new(
        Counter, "podnet_exporter_lost_packets_total", "packets", "Packets that the programs saw and could not count.", PacketLoss)
    {
        Query = "sum by (instance, reason) (rate(podnet_exporter_lost_packets_total[5m])) > 0",
        Details = "map_full: raise `Bpf:MaxInterfaces`.",
    };

    internal static readonly MetricDefinition LostBytes = new(Counter, "podnet_exporter_lost_bytes_total", "bytes", "The bytes of the lost packets.", PacketLoss)
    {
        Query = "sum by (instance) (rate(podnet_exporter_lost_bytes_total[5m])) > 0",
    };

    internal static readonly MetricDefinition MissedPackets = new(
        Counter,
        "podnet_exporter_unattached_packets_total",
        "packets",
        "Packets that interfaces carried while no programs were attached, by the interfaces' own counters.",
        PodFamilies.Direction)
    {
        Query = "sum by (instance) (increase(podnet_exporter_unattached_packets_total[1h]))",
        Details = "Two kinds are counted: packets of a new interface before its programs were attached, and packets of any interface while another process had "
            + "removed the programs. An interface is new if it appeared while the exporter ran, or since a previous exporter ended. "
            + "Packets during attaching itself (0.1 ms with clsact, some 10 ms with tcx) are not included. The counter increases when programs are attached, also after a restart.",
    };

    internal static readonly TotalFamilies Unattributed = TotalFamilies.Of(
        "unattributed",
        "on an interface whose pod was not identified in time",
        "in a network namespace whose pod was not identified in time, or that is not the peer of any interface",
        "In time is within `Identity:HoldFor`. A namespace that is not the peer of any host interface is one inside a pod, such as that of a rootless container or a browser's sandbox.");

    internal static readonly MetricDefinition UnheldRows = new(
        Counter,
        "podnet_exporter_unheld_rows_total",
        "rows",
        "Rows of counters, one for each unidentified pod and drain, that became unattributed at once because no more could be held.",
        new MetricLabel("signal", "traffic", "handshakes"))
    {
        Query = "increase(podnet_exporter_unheld_rows_total[1h]) > 0",
        Details = "Rows are held for at most 4096 interfaces and 4096 network namespaces.",
    };

    internal static readonly MetricDefinition UnprovenInterfaces = new(
        Counter,
        "podnet_exporter_unproven_interfaces_total",
        "interfaces",
        "Interfaces found at a start that could not be proven to be the ones a previous process had counted.")
    {
        Query = "increase(podnet_exporter_unproven_interfaces_total[1h]) > 0",
        Details = "Their packets since the last count of the previous process are in `podnet_exporter_unattributed_packets_total`.",
    };

    internal static readonly TotalFamilies Excluded = TotalFamilies.Of("excluded", "for excluded pods", "of excluded pods");

    internal static readonly TotalFamilies Folded = TotalFamilies.Of(
        "folded",
        "under __other__, for which the series budget has no room",
        "under __other__, for which the series budget has no room",
        "The series of `__other__` include them.");

    internal static readonly TotalFamilies Retired = TotalFamilies.Of(
        "retired",
        "in series that were removed since",
        "in series that were removed since",
        "The sum of the pods' series and of this is everything that was counted for pods.");

    internal static readonly MetricDefinition LostHandshakes = new(
        Counter, "podnet_exporter_lost_handshakes_total", "handshakes", "TCP handshakes that the programs saw and could not count or time.", HandshakeLoss)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_lost_handshakes_total[1h])) > 0",
        Details = "map_full: raise `Bpf:MaxInterfaces`; late_full: raise `Handshake:MaxRetransmitting` (it shows as untimed when it is completed); untimed: completed, and the kernel does not report when it began; "
            + "unseen: retransmitted, and its end was missed; missed: changes of socket states for which the kernel skipped the program before a second one was attached, which is an upper bound. "
            + "With `Handshake:Hook=kprobe` skipped runs are only in `podnet_exporter_bpf_program_misses_total`.",
    };

    internal static readonly MetricDefinition SecretErrors = new(
        Counter,
        "podnet_exporter_credential_reload_failures_total",
        "files",
        "Failed reloads of the server's certificate or credential files.",
        new MetricLabel("secret", "certificate", "bearer_token", "basic_auth"))
    {
        Query = "increase(podnet_exporter_credential_reload_failures_total[1h]) > 0",
        Details = "The previous content stays in use. Only configured files have a series.",
    };

    internal static readonly MetricDefinition ServerRefusals = new(
        Counter,
        "podnet_exporter_server_refusals_total",
        "refusals",
        "Connections and requests that the server refused or cut off.",
        new MetricLabel("reason", [.. RefusalReason.All]))
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_server_refusals_total[1h])) > 0",
        Details = "connections: closed because `Server:MaxConnections` were open; header_timeout: no complete request within `Server:HeaderTimeout`; "
            + "header_size: headers larger than `Server:MaxHeaderSize`; bad_request: not valid HTTP, or with a body; unauthorized: without a valid token or password; "
            + "scrapes: more scrapes at once than `Server:MaxScrapes`; pages: as many requests at once for the other pages; slow_client: the answer was not read within a minute, or while three later ones of `/metrics` were read.",
    };

    internal static readonly MetricDefinition ProgramRuns = new(
        Counter, "podnet_exporter_bpf_program_runs_total", "runs", "Runs of a BPF program, while the kernel's BPF statistics are on.", new MetricLabel("program"))
    {
        Query = "sum by (program) (rate(podnet_exporter_bpf_program_runs_total[5m]))",
        Details = "They are on with `Bpf:RunStatistics`, or the sysctl `kernel.bpf_stats_enabled`.",
    };

    internal static readonly MetricDefinition ProgramRunTime = new(
        Counter, "podnet_exporter_bpf_program_run_seconds_total", "seconds", "Run time of a BPF program, while the kernel's BPF statistics are on.", new MetricLabel("program"))
    {
        Query = "rate(podnet_exporter_bpf_program_run_seconds_total[5m]) / rate(podnet_exporter_bpf_program_runs_total[5m])",
    };

    internal static readonly MetricDefinition ProgramMisses = new(
        Counter, "podnet_exporter_bpf_program_misses_total", "runs", "Runs of a BPF program that the kernel skipped, as far as it reports them.", new MetricLabel("program"))
    {
        Query = "sum by (instance, program) (increase(podnet_exporter_bpf_program_misses_total[1h])) > 0",
        Details = "For kprobes the kernel reports them since Linux 6.7. Once `podnet_tp_state2` is attached, it counts what `podnet_tp_state` misses.",
    };

    internal static readonly MetricDefinition MapEntries = new(
        Gauge, "podnet_exporter_bpf_map_entries", "entries", "Entries of a BPF map when it was last read.", new MetricLabel("map", "traffic", "handshakes", "handshakes_late"))
    {
        Query = "podnet_exporter_bpf_map_entries / podnet_exporter_bpf_map_max_entries > 0.8",
    };

    internal static readonly MetricDefinition MapMaxEntries = new(
        Gauge, "podnet_exporter_bpf_map_max_entries", "entries", "Entries that a BPF map has room for.", new MetricLabel("map", "traffic", "handshakes", "handshakes_late"))
    {
        Query = "podnet_exporter_bpf_map_max_entries",
    };

    internal static readonly MetricDefinition Replacements = new(
        Counter,
        "podnet_exporter_bpf_replacements_total",
        "objects",
        "BPF objects from Bpf:ObjectDirectory that replaced the running ones, or were refused.",
        new MetricLabel("object", "pod_traffic", "tcp_handshake"),
        new MetricLabel("result", "replaced", "refused"))
    {
        Query = "increase(podnet_exporter_bpf_replacements_total{result=\"refused\"}[1h]) > 0",
        Details = "refused: the running programs stay; the log and /api/v1/bpf have the reason.",
    };

    internal static readonly MetricDefinition OptionErrors = new(
        Counter, "podnet_exporter_config_reload_failures_total", "changes", "Failed reloads of the option files.")
    {
        Query = "increase(podnet_exporter_config_reload_failures_total[1h]) > 0",
        Details = "The previous options stay in force; the log has the reasons.",
    };

    internal static readonly MetricDefinition OptionsPending = new(
        Gauge, "podnet_exporter_options_pending_restart", "options", "Options that have changed in the files and apply only at the next start.")
    {
        Query = "podnet_exporter_options_pending_restart > 0",
    };

    internal static readonly MetricDefinition Pinned = new(Gauge, "podnet_exporter_pinned", "0 or 1", "1 if programs, maps and counters are pinned and survive a restart.")
    {
        Query = "podnet_exporter_pinned == 0",
        Details = "0: `Bpf:PinDirectory` is empty or cannot be used; the log says why. A restart then resets the counters, and traffic between two runs is not counted.",
    };

    internal static readonly MetricDefinition LedgerUnpinned = new(
        Gauge, "podnet_exporter_ledger_unpinned_records", "records", "Records of the ledger that are not in pinned memory: a restart loses their counts.")
    {
        Query = "podnet_exporter_ledger_unpinned_records > 0",
    };

    internal static readonly MetricDefinition DrainDuration = new(
        Histogram, "podnet_exporter_drain_duration_seconds", "seconds", "Time to read the counters from the kernel, including the RCU grace period.")
    {
        Bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
        Query = "histogram_quantile(0.99, sum by (le) (rate(podnet_exporter_drain_duration_seconds_bucket[5m])))",
    };

    internal static readonly MetricDefinition DrainErrors = new(
        Counter, "podnet_exporter_drain_errors_total", "drains", "Drains that failed; the counters stay in the kernel for the next drain.")
    {
        Query = "increase(podnet_exporter_drain_errors_total[1h]) > 0",
    };

    internal static readonly MetricDefinition Resyncs = new(
        Counter, "podnet_exporter_netlink_resyncs_total", "listings", "Listings of all interfaces after the kernel dropped interface events.")
    {
        Query = "increase(podnet_exporter_netlink_resyncs_total[1h]) > 0",
    };

    internal static readonly MetricDefinition Series = new(Gauge, "podnet_exporter_series", "sample lines", "Sample lines of the pods' families.")
    {
        Query = "podnet_exporter_series / podnet_exporter_series_limit",
    };

    internal static readonly MetricDefinition SeriesLimit = new(
        Gauge, "podnet_exporter_series_limit", "sample lines", "Limit of sample lines of the pods' families.")
    {
        Query = "sum(podnet_exporter_series_limit)",
        Details = "The option `Metrics:MaxSeries`.",
    };

    internal static readonly MetricDefinition SeriesFolded = new(
        Gauge, "podnet_exporter_series_folded", "pods", "Pods, or workloads or namespaces where series stand for these, that have no series of their own and are counted under `__other__`.")
    {
        Query = "podnet_exporter_series_folded > 0",
    };

    /// <summary>What there is always.</summary>
    internal static readonly IReadOnlyList<MetricDefinition> All =
    [
        BuildInfo, HookInfo, Standby, Waiting, Ready, UndecidedPins, Interfaces, AttachErrors, ReconcileErrors,
        LostPackets, LostBytes, MissedPackets, .. Unattributed.Families, UnheldRows, UnprovenInterfaces, .. Excluded.Families, LostHandshakes,
        Series, SeriesLimit, SeriesFolded, .. Folded.Families, .. Retired.Families,
        DrainDuration, DrainErrors, Resyncs,
        SecretErrors, ServerRefusals,
        ProgramRuns, ProgramRunTime, ProgramMisses, MapEntries, MapMaxEntries, Replacements, Pinned, LedgerUnpinned, OptionErrors, OptionsPending,
    ];

    internal static readonly MetricDefinition WatchUp = new(
        Gauge, "podnet_exporter_kubernetes_watch_up", "0 or 1", "1 while the watch of this node's pods is established.")
    {
        Query = "podnet_exporter_kubernetes_watch_up == 0",
    };

    internal static readonly MetricDefinition HeardTimestamp = new(
        Gauge, "podnet_exporter_kubernetes_last_event_timestamp_seconds", "seconds", "Time of the last data from the watch of pods, in seconds since 1970; without changes the API server sends some about every minute.")
    {
        Query = "time() - podnet_exporter_kubernetes_last_event_timestamp_seconds",
    };

    internal static readonly MetricDefinition Relists = new(
        Counter, "podnet_exporter_kubernetes_relists_total", "listings", "Requests for the list of this node's pods: at the start, where a watch cannot continue, and for interfaces without a pod.")
    {
        Details = "Failed requests count as well.",
        Query = "increase(podnet_exporter_kubernetes_relists_total[1h])",
    };

    internal static readonly MetricDefinition ApiErrors = new(
        Counter,
        "podnet_exporter_kubernetes_errors_total",
        "requests",
        "Failed requests to the API server, lists and watches.",
        new MetricLabel("reason", "unauthorized", "forbidden", "gone", "too_many_requests", "refused", "unreachable", "silent", "unreadable", "cut"))
    {
        Query = "sum by (reason) (increase(podnet_exporter_kubernetes_errors_total[1h]))",
        Details = "unauthorized: 401; forbidden: 403; gone: 410, the version is too old, and pods are listed again; too_many_requests: 429; refused: any other status; silent: nothing came for 30 s, or for 150 s from a watch; cut: the connection of an established watch was closed; a new one follows within a second.",
    };

    internal static readonly MetricDefinition KnownPods = new(Gauge, "podnet_exporter_kubernetes_pods", "pods", "Pods of this node that the exporter has listed.")
    {
        Query = "sum(podnet_exporter_kubernetes_pods)",
    };

    internal static readonly MetricDefinition PodStates = new(
        Gauge,
        "podnet_exporter_pods",
        "pods",
        "Running or pending pods of this node that have an address, by whether the exporter has found an interface of theirs.",
        new MetricLabel("state", "with_interface", "without_interface", "host_network"))
    {
        Query = "podnet_exporter_pods{state=\"without_interface\"} > 0",
        Details = "without_interface: nothing is counted for the pod. Its interface does not exist yet, is excluded, or its namespace does not have the pod's address, as with gVisor.",
    };

    internal static readonly MetricDefinition UndecidedInterfaces = new(
        Counter,
        "podnet_exporter_undecided_interfaces_total",
        "interfaces",
        "Interfaces that stayed without a pod although pods have their addresses: it is undecidable which pod's sandbox they belong to.")
    {
        Query = "increase(podnet_exporter_undecided_interfaces_total[1h])",
        Details = "Their traffic is in the unattributed families. An interface whose pod turns out to have other addresses is included, and so is one that is decided later.",
    };

    /// <summary>What there is where pods are known from Kubernetes.</summary>
    internal static readonly IReadOnlyList<MetricDefinition> Kubernetes = [WatchUp, HeardTimestamp, Relists, ApiErrors, KnownPods, PodStates, UndecidedInterfaces];
}
