namespace Exporter.Verification;

/// <summary>What a record is to those with its id that came before.</summary>
internal enum IdOutcome
{
    First,

    /// <summary>One before has the same time and counts.</summary>
    Repeat,

    /// <summary>One before has another time or other counts.</summary>
    Different,
}
