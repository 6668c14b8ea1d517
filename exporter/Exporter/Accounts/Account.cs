using Exporter.Pods;
using Exporter.State;

namespace Exporter.Accounts;

/// <summary>
/// Pods that share series at one level: the blocks that they have, whose counts are in a record of the ledger, and the blocks that wait, which another account
/// counts. Counts stay where they were counted. <see cref="LevelAccounts"/> decides; all of it is used with the ledger's lock.
/// </summary>
/// <param name="room">The part of the budget that its lines come from.</param>
/// <param name="isHost">Whether it is the host's alone, which has fewer blocks.</param>
internal sealed class Account(LabelValues labels, GroupRoom room, bool isHost)
{
    /// <summary>Weights of blocks by their numbers: their counts while they waited.</summary>
    private ulong[] _weights = [];

    internal LabelValues Labels => labels;

    internal GroupRoom Room => room;

    internal bool IsHost => isHost;

    /// <summary>The blocks that it has.</summary>
    internal ulong Blocks { get; set; }

    /// <summary>The blocks that have counted something and have no room.</summary>
    internal ulong Waiting { get; private set; }

    /// <summary>The account that counts the blocks that wait; null where none does.</summary>
    internal Account? Other { get; set; }

    /// <summary>The record with the counts of its blocks; null before the first.</summary>
    internal LedgerEntry? Entry { get; set; }

    /// <summary>Its labels as an exposition has them; null until it is written.</summary>
    internal byte[]? Text { get; set; }

    /// <summary>Interfaces of its pods, or accounts whose waiting blocks it counts.</summary>
    internal int Users { get; set; }

    /// <summary>When it last lost a user.</summary>
    internal long ReleasedAt { get; set; }

    /// <summary>The committed counts of a signal: all zero where nothing was counted.</summary>
    internal ReadOnlySpan<ulong> ReadCommitted(LevelPlan.SignalPlan signal)
    {
        var row = Entry is null ? default : Entry.ReadCommitted(signal.Fields);
        return row.IsEmpty ? signal.Nothing : row;
    }

    /// <summary>A part of a row in these blocks is counted elsewhere.</summary>
    internal void Wait(ulong blocks, ReadOnlySpan<Block> all, ReadOnlySpan<ulong> part)
    {
        Waiting |= blocks;
        if (_weights.Length == 0)
        {
            _weights = new ulong[all.Length];
        }
        while (blocks != 0)
        {
            var number = Block.TakeFirst(ref blocks);
            _weights[number] += all[number].WeightOf(part);
        }
    }

    internal ulong WeightOf(int block) => _weights[block];

    internal void StopWaiting(ulong blocks) => Waiting &= ~blocks;
}
