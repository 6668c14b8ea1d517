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

    internal static readonly MetricDefinition BuildInfo = new(Gauge, "podnet_exporter_build_info", "1", "1; the labels say what runs.", new("version"), new("arch"))
    {
        Query = "count by (version, arch) (podnet_exporter_build_info)",
    };

    internal static readonly MetricDefinition HookInfo = new(Gauge, "podnet_exporter_hook_info", "1", "1; how programs are attached.", new("kind", "traffic", "handshake", "handshake_requests"), new("hook"))
    {
        Query = "count by (kind, hook) (podnet_exporter_hook_info)",
        Details = "For traffic: tcx, clsact; for handshake: tracepoint, kprobe, off, unavailable (the log says why); for handshake_requests, how servers' failed requests are seen: kprobe, off, unavailable.",
    };

    internal static readonly MetricDefinition Standby = new(
        Gauge, "podnet_exporter_standby", "0 or 1", "1 while this process counts nothing, for this reason.", new MetricLabel("reason", "waiting", "uninstalled"))
    {
        Query = "podnet_exporter_standby == 1",
        Details = "waiting: another exporter in this network namespace has the lock of the pin directory, see `podnet_exporter_waiting`; uninstalled: everything was removed, as `podnet-exporter uninstall` has asked.",
    };

    internal static readonly MetricDefinition Waiting = new(
        Gauge, "podnet_exporter_waiting", "0 or 1", "1 while this process counts nothing because another exporter has the lock of the pin directory.")
    {
        Query = "min_over_time(podnet_exporter_waiting[10m]) == 1",
        Details = "It is not ready meanwhile. For some seconds this is what an upgrade looks like; longer, two exporters run in one network namespace with one `Bpf:PinDirectory`.",
    };

    internal static readonly MetricDefinition Ready = new(
        Gauge, "podnet_exporter_ready", "0 or 1", "1 once this process has listed the node's interfaces and, with Kubernetes, its pods. /readyz says what is missing.")
    {
        Query = "podnet_exporter_ready == 0",
        Details = "What is lost later shows in other metrics: it stays 1.",
    };

    internal static readonly MetricDefinition UndecidedPins = new(
        Gauge, "podnet_exporter_undecided_pin_directories", "folders", "Folders in the pin directory that the last start kept because the kernel did not say whether their network namespaces exist.")
    {
        Query = "podnet_exporter_undecided_pin_directories > 0",
        Details = "Folders of namespaces that are gone are removed by the next start. `podnet-exporter uninstall --all` removes these, with everything else.",
    };

    internal static readonly MetricDefinition Interfaces = new(Gauge, "podnet_exporter_interfaces", "interfaces", "Interfaces of pods, by what the exporter does with them.", InterfaceState)
    {
        Query = "podnet_exporter_interfaces{state=~\"failed|shadowed\"} > 0",
        Details = "pending: found, not attached yet; failed: tried again; shadowed: carry packets that do not reach the programs.",
    };

    internal static readonly MetricDefinition AttachErrors = new(
        Counter, "podnet_exporter_attach_errors_total", "programs", "Programs that could not be attached, or that somebody else removed.", AttachError)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_attach_errors_total[1h])) > 0",
        Details = "eopnotsupp: the interface's `ffff:` qdisc is of the kind ingress, so what its pod receives cannot be seen by clsact; removed: somebody else took them away, they were attached again; pin: attached, but not pinned, so that it ends with the process, or a pin that cannot be removed.",
    };

    internal static readonly MetricDefinition ReconcileErrors = new(
        Counter, "podnet_exporter_reconcile_errors_total", "rounds", "Rounds of looking after the interfaces of which a part failed; it is tried again.")
    {
        Query = "increase(podnet_exporter_reconcile_errors_total[1h]) > 0",
        Details = "What fails for one interface alone is in `podnet_exporter_attach_errors_total`, and does not make its round one of these.",
    };

    internal static readonly MetricDefinition LostPackets = new(
        Counter, "podnet_exporter_lost_packets_total", "packets", "Packets that passed the programs and could not be counted.", PacketLoss)
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
        "podnet_exporter_missed_packets_total",
        "packets",
        "Packets that an interface has carried, by its own counters, while no programs were attached.",
        PodFamilies.Direction)
    {
        Query = "sum by (instance) (increase(podnet_exporter_missed_packets_total[1h]))",
        Details = "Of interfaces that appear while the exporter runs, or have appeared since a previous one has ended that had counted others, from before they were attached to; of all, from while somebody had "
            + "removed the programs. Packets of the moment of attaching itself (0.1 ms with clsact, some 10 ms with tcx) are not among them. It counts when programs are attached, also over a restart.",
    };

    internal static readonly TotalFamilies Unattributed = TotalFamilies.Of(
        "unattributed",
        "on an interface whose pod did not become known in time",
        "in a network namespace whose pod did not become known in time, or that no interface leads to",
        "In time: within `Identity:Wait`. A namespace that no interface of the host leads to is one inside of a pod, as of a rootless container or a browser's sandbox.");

    internal static readonly MetricDefinition UnheldRows = new(
        Counter,
        "podnet_exporter_unheld_rows_total",
        "rows",
        "Counts of a pod that was not known yet, one for each drain, that were unattributed at once, since as many were held as can be.",
        new MetricLabel("signal", "traffic", "handshakes"))
    {
        Query = "increase(podnet_exporter_unheld_rows_total[1h]) > 0",
        Details = "4096 interfaces, and as many network namespaces, can have something held for them.",
    };

    internal static readonly MetricDefinition UnprovenInterfaces = new(
        Counter,
        "podnet_exporter_unproven_interfaces_total",
        "interfaces",
        "Interfaces that were there at a start of counting, and of which nothing proved that they are those that a previous process had counted.")
    {
        Query = "increase(podnet_exporter_unproven_interfaces_total[1h]) > 0",
        Details = "What they carried since the previous process has last counted is in `podnet_exporter_unattributed_packets_total`.",
    };

    internal static readonly TotalFamilies Excluded = TotalFamilies.Of("excluded", "for pods that are left out", "of pods that are left out");

    internal static readonly TotalFamilies Folded = TotalFamilies.Of(
        "folded",
        "under __other__, for which the budget of series has no room",
        "under __other__, for which the budget of series has no room",
        "They are in the series of `__other__` as well.");

    internal static readonly TotalFamilies Retired = TotalFamilies.Of(
        "retired",
        "in series that have left since",
        "in series that have left since",
        "What the pods' series show, and this, make everything that was counted for pods.");

    internal static readonly MetricDefinition LostHandshakes = new(
        Counter, "podnet_exporter_lost_handshakes_total", "handshakes", "TCP handshakes that were seen and could not be counted or timed.", HandshakeLoss)
    {
        Query = "sum by (instance, reason) (increase(podnet_exporter_lost_handshakes_total[1h])) > 0",
        Details = "map_full: raise `Bpf:MaxInterfaces`; late_full: raise `Handshake:MaxLate` (it shows as untimed when it is completed); untimed: completed, and the kernel does not say since when; "
            + "unseen: sent again, and its end was missed; missed: changes of sockets' states that the kernel did not show to the program, before a second one was attached: so many at the most. "
            + "With `Handshake:Hook=kprobe` what is missed is only in `podnet_exporter_bpf_program_misses_total`.",
    };

    internal static readonly MetricDefinition SecretErrors = new(
        Counter,
        "podnet_exporter_secret_errors_total",
        "files",
        "Times that the server's certificate, or what it wants to be shown, had changed and could not be used.",
        new MetricLabel("secret", "certificate", "bearer_token", "basic_auth"))
    {
        Query = "increase(podnet_exporter_secret_errors_total[1h]) > 0",
        Details = "The former stays in force. Those that are not used are not there.",
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
            + "scrapes: more scrapes at once than `Server:MaxScrapes`; pages: as many requests at once for the other pages; slow_client: the answer was not read within a minute.",
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
        Counter, "podnet_exporter_bpf_program_misses_total", "runs", "Times that the kernel left a BPF program out, as far as it says so.", new MetricLabel("program"))
    {
        Query = "sum by (instance, program) (increase(podnet_exporter_bpf_program_misses_total[1h])) > 0",
        Details = "For kprobes the kernel says so from Linux 6.7 on. With `podnet_tp_state2` beside it, what `podnet_tp_state` misses is not lost.",
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
        "BPF objects from Bpf:ObjectDirectory that have taken the place of those that ran, or were refused.",
        new MetricLabel("object", "pod_traffic", "tcp_handshake"),
        new MetricLabel("result", "replaced", "refused"))
    {
        Query = "increase(podnet_exporter_bpf_replacements_total{result=\"refused\"}[1h]) > 0",
        Details = "refused: the former go on; the log and /api/v1/bpf have the reason.",
    };

    internal static readonly MetricDefinition OptionErrors = new(
        Counter, "podnet_exporter_option_errors_total", "changes", "Times that the files of options had changed and could not be used.")
    {
        Query = "increase(podnet_exporter_option_errors_total[1h]) > 0",
        Details = "The former stay in force; the log has the reasons.",
    };

    internal static readonly MetricDefinition OptionsPending = new(
        Gauge, "podnet_exporter_options_pending_restart", "options", "Options that have changed in the files and will be in force after the next start.")
    {
        Query = "podnet_exporter_options_pending_restart > 0",
    };

    internal static readonly MetricDefinition Pinned = new(Gauge, "podnet_exporter_pinned", "0 or 1", "1 if what is counted outlives this process.")
    {
        Query = "podnet_exporter_pinned == 0",
        Details = "0: `Bpf:PinDirectory` is empty, or cannot be used; the log says why. When the exporter ends then, counters begin anew, and nothing is counted until it is back.",
    };

    internal static readonly MetricDefinition LedgerUnkept = new(
        Gauge, "podnet_exporter_ledger_unkept", "records", "Records of the ledger that have no place in pinned memory: what they count is not there after a restart.")
    {
        Query = "podnet_exporter_ledger_unkept > 0",
    };

    internal static readonly MetricDefinition DrainDuration = new(
        Histogram, "podnet_exporter_drain_duration_seconds", "seconds", "Time to fetch the counters from the kernel, the RCU grace period included.")
    {
        Bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
        Query = "histogram_quantile(0.99, sum by (le) (rate(podnet_exporter_drain_duration_seconds_bucket[5m])))",
    };

    internal static readonly MetricDefinition DrainErrors = new(
        Counter, "podnet_exporter_drain_errors_total", "drains", "Drains that failed; what was counted stays in the kernel for the next.")
    {
        Query = "increase(podnet_exporter_drain_errors_total[1h]) > 0",
    };

    internal static readonly MetricDefinition Resyncs = new(
        Counter, "podnet_exporter_netlink_resyncs_total", "listings", "Times the kernel had more interface events than could be kept, and all were listed again.")
    {
        Query = "increase(podnet_exporter_netlink_resyncs_total[1h]) > 0",
    };

    internal static readonly MetricDefinition Series = new(Gauge, "podnet_exporter_series", "sample lines", "Sample lines of the pods' families.")
    {
        Query = "podnet_exporter_series / podnet_exporter_series_limit",
    };

    internal static readonly MetricDefinition SeriesLimit = new(
        Gauge, "podnet_exporter_series_limit", "sample lines", "Sample lines that the pods' families can have at the most.")
    {
        Query = "sum(podnet_exporter_series_limit)",
        Details = "The option `Metrics:MaxSeries`.",
    };

    internal static readonly MetricDefinition SeriesFolded = new(
        Gauge, "podnet_exporter_series_folded", "pods", "Pods, or what else the series stand for, that have none of their own and are counted under `__other__`.")
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
        ProgramRuns, ProgramRunTime, ProgramMisses, MapEntries, MapMaxEntries, Replacements, Pinned, LedgerUnkept, OptionErrors, OptionsPending,
    ];

    internal static readonly MetricDefinition WatchUp = new(
        Gauge, "podnet_exporter_kubernetes_watch_up", "0 or 1", "1 while the API server tells of changes to this node's pods, else 0.")
    {
        Query = "podnet_exporter_kubernetes_watch_up == 0",
    };

    internal static readonly MetricDefinition HeardTimestamp = new(
        Gauge, "podnet_exporter_kubernetes_heard_timestamp_seconds", "seconds", "When the API server was last heard of, in seconds since 1970; without changes that is about every minute.")
    {
        Query = "time() - podnet_exporter_kubernetes_heard_timestamp_seconds",
    };

    internal static readonly MetricDefinition Relists = new(
        Counter, "podnet_exporter_kubernetes_relists_total", "listings", "Lists of this node's pods that were begun: the first one, and later ones where a watch cannot go on or an interface has no pod.")
    {
        Details = "A list that fails, and is tried again, counts as well.",
        Query = "increase(podnet_exporter_kubernetes_relists_total[1h])",
    };

    internal static readonly MetricDefinition ApiErrors = new(
        Counter,
        "podnet_exporter_kubernetes_errors_total",
        "requests",
        "Times that the API server could not be asked, or did not give what it was asked for.",
        new MetricLabel("reason", "unauthorized", "forbidden", "gone", "too_many_requests", "refused", "unreachable", "silent", "unreadable", "cut"))
    {
        Query = "sum by (reason) (increase(podnet_exporter_kubernetes_errors_total[1h]))",
        Details = "unauthorized: 401; forbidden: 403; gone: 410, the past is forgotten, and listed anew; too_many_requests: 429; refused: any other status; silent: nothing came for 30 s, or for 150 s from a watch; cut: the connection of a watch that had lasted was closed, and another one is made at once.",
    };

    internal static readonly MetricDefinition KnownPods = new(Gauge, "podnet_exporter_kubernetes_pods", "pods", "Pods of this node that are known.")
    {
        Query = "sum(podnet_exporter_kubernetes_pods)",
    };

    internal static readonly MetricDefinition PodStates = new(
        Gauge,
        "podnet_exporter_pods",
        "pods",
        "Pods of this node that have an address and are not over, by whether an interface of theirs is known.",
        new MetricLabel("state", "with_interface", "without_interface", "host_network"))
    {
        Query = "podnet_exporter_pods{state=\"without_interface\"} > 0",
        Details = "without_interface: nothing is counted for the pod. Its interface is not there yet, is excluded, or its namespace does not have the pod's address, as with gVisor.",
    };

    internal static readonly MetricDefinition UndecidedInterfaces = new(
        Counter,
        "podnet_exporter_undecided_interfaces_total",
        "interfaces",
        "Interfaces that stayed without a pod although pods claim their addresses: nothing shows which pod's sandbox they are of.")
    {
        Query = "increase(podnet_exporter_undecided_interfaces_total[1h])",
        Details = "What they carry is in the unattributed families. An interface whose pod turns out to have other addresses is one of them. One that is decided later is counted here nevertheless.",
    };

    /// <summary>What there is where pods are known from Kubernetes.</summary>
    internal static readonly IReadOnlyList<MetricDefinition> Kubernetes = [WatchUp, HeardTimestamp, Relists, ApiErrors, KnownPods, PodStates, UndecidedInterfaces];
}
