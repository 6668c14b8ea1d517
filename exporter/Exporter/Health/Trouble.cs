namespace Exporter.Health;

/// <summary>A condition that is logged once when it begins and once when it ends. Used by one thread at a time.</summary>
internal sealed class Trouble
{
    internal bool IsThere { get; private set; }

    /// <summary>Notes that the condition holds.</summary>
    /// <returns>Whether it did not hold before: the caller logs its beginning.</returns>
    internal bool Begins()
    {
        var begins = !IsThere;
        IsThere = true;
        return begins;
    }

    /// <summary>Notes that the condition does not hold.</summary>
    /// <returns>Whether it held before: the caller logs its end.</returns>
    internal bool Ends()
    {
        var ends = IsThere;
        IsThere = false;
        return ends;
    }
}
