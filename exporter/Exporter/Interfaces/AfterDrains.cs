using Exporter.Signals;

namespace Exporter.Interfaces;

/// <summary>Actions that wait until no drain uses anything from before them. For the reconciler alone.</summary>
internal sealed class AfterDrains(DrainRounds rounds)
{
    private readonly List<(Action Action, DrainMark Mark)> _waiting = [];

    /// <summary>Has an action done once drains of every signal that begin from now on have ended.</summary>
    internal void Add(Action action) => _waiting.Add((action, rounds.Now));

    /// <summary>Does the actions that have waited for long enough.</summary>
    internal void Run() => _waiting.RemoveAll(waiting =>
    {
        var isOver = rounds.HasPassed(waiting.Mark);
        if (isOver)
        {
            waiting.Action();
        }
        return isOver;
    });
}
