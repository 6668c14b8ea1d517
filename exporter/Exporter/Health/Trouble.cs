namespace Exporter.Health;

/// <summary>A condition that is logged once when it begins and once when it ends. For one thread at a time.</summary>
internal sealed class Trouble
{
    internal bool IsThere { get; private set; }

    /// <summary>Takes note of it.</summary>
    /// <returns>Whether it was not there before: the caller logs that it begins.</returns>
    internal bool Begins()
    {
        var begins = !IsThere;
        IsThere = true;
        return begins;
    }

    /// <summary>Takes note that it is over.</summary>
    /// <returns>Whether it was there before: the caller logs that it ends.</returns>
    internal bool Ends()
    {
        var ends = IsThere;
        IsThere = false;
        return ends;
    }
}
