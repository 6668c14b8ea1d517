namespace Exporter.Accounts;

/// <summary>The level that series of some families stand for, where it differs from the others'.</summary>
internal enum FamilyLevel
{
    Same,
    Pod,
    Workload,
    Namespace,
    Off,
}
