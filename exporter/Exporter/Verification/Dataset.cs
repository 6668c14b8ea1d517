namespace Exporter.Verification;

/// <summary>The kinds of records: the values of event.dataset.</summary>
internal enum Dataset
{
    Flow,
    Rest,
    Interval,
    Identity,
}
