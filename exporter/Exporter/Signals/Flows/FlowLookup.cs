namespace Exporter.Signals.Flows;

/// <summary>How a question for a backend ended; the first ones as <see cref="Bpf.Netlink.ConntrackResult"/> has them.</summary>
internal enum FlowLookup
{
    Found,
    NotFound,
    NoModule,
    Refused,
    Failed,
    Skipped,
}
