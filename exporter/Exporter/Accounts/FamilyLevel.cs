namespace Exporter.Accounts;

/// <summary>What series of some families stand for, where that differs from all others.</summary>
internal enum FamilyLevel
{
    Same,
    Pod,
    Workload,
    Namespace,
    Off,
}
