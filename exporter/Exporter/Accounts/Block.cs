using System.Numerics;
using Exporter.Bpf;

namespace Exporter.Accounts;

/// <summary>
/// Columns that an account has together or not at all: it has all their lines, zeros too, from the first count in any of their fields on. No field is in
/// two blocks of one level.
/// </summary>
/// <param name="Name">The kind of block, as the label <c>block</c> has it. Several blocks can be of one kind.</param>
/// <param name="Weight">The numbers of the fields whose sum decides which of the accounts that wait for such a block is first.</param>
internal sealed record Block(string Name, IReadOnlyList<int> Weight, IReadOnlyList<Column> Columns)
{
    /// <summary>How many sample lines it has.</summary>
    internal int Lines { get; } = Columns.Sum(column => column.Lines);

    internal ulong WeightOf(ReadOnlySpan<ulong> row) => RowFields.Sum(row, Weight);

    /// <summary>Takes the number of one block out of a set, which has a bit for each.</summary>
    internal static int TakeFirst(ref ulong blocks)
    {
        var number = BitOperations.TrailingZeroCount(blocks);
        blocks &= blocks - 1;
        return number;
    }
}
