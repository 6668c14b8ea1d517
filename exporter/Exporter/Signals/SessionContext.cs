using Exporter.Accounts;
using Exporter.Edges;
using Exporter.Health;
using Exporter.Peers;
using Exporter.Pods;
using Exporter.State;
using Microsoft.Extensions.Logging.Abstractions;
using Prometheus;

namespace Exporter.Signals;

/// <summary>Everything that the drains of one session use.</summary>
/// <param name="Accounts">The totals of counts that no pod has.</param>
/// <param name="Series">The accounts that have series.</param>
/// <param name="HoldFor">How long counts wait for their pod to be identified.</param>
/// <param name="Interval">Between two drains, unless the signal has an interval of its own.</param>
internal sealed record SessionContext(PodTable Pods, AccountMetrics Accounts, PodAccounts Series, Ledger Ledger, IMetricFactory Metrics, TimeProvider Time, TimeSpan HoldFor, TimeSpan Interval)
{
    /// <summary>May change during the session.</summary>
    internal TimeSpan Interval { get; set; } = Interval;

    /// <summary>For loops of signals; null: nothing asks.</summary>
    internal LoopHealth? Health { get; init; }

    internal ILoggerFactory Logging { get; init; } = NullLoggerFactory.Instance;

    /// <summary>The node's name.</summary>
    internal string Node { get; init; } = "";

    /// <summary>The cluster's name; empty: not known.</summary>
    internal string Cluster { get; init; } = "";

    /// <summary>The accounts of edges; null: edges are off.</summary>
    internal EdgeAccounts? Edges { get; init; }

    /// <summary>Names from before the session, which a drain may wait for; null: there are none.</summary>
    internal KnownNames? Names { get; init; }

    /// <summary>Who has which address, as it is known now.</summary>
    internal Func<PeerTable> Peers { get; init; } = static () => PeerTable.Of(PeerClasses.BuiltIn);
}
