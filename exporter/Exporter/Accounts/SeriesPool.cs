namespace Exporter.Accounts;

/// <summary>A part of the budget of sample lines.</summary>
internal sealed class SeriesPool(int lines)
{
    private int _free = lines;

    /// <summary>Returns false, and takes nothing, where there is not room for all of them.</summary>
    internal bool TryTake(int count)
    {
        if (_free < count)
        {
            return false;
        }
        _free -= count;
        return true;
    }

    internal void Return(int count) => _free += count;
}
