namespace Exporter.Verification;

/// <summary>The result of reading a line.</summary>
internal enum LineOutcome
{
    /// <summary>It is a record of a known dataset, with all its required fields.</summary>
    Record,

    /// <summary>It is the beginning of a JSON object, as a write leaves it that was cut.</summary>
    Cut,

    Bad,
}
