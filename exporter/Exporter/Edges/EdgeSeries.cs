using Exporter.Accounts;
using Exporter.State;

namespace Exporter.Edges;

/// <summary>The edges that have series, each with a record of the ledger, in the order of their labels. Used with the ledger's lock.</summary>
/// <param name="retired">The total of counts in series that were removed.</param>
internal sealed class EdgeSeries(EdgeLevel level, Ledger ledger, Totals retired) : IShownSeries
{
    private static readonly Comparer<Edge> ByKey = Comparer<Edge>.Create(static (left, right) => left.Key.CompareTo(right.Key));

    private readonly List<Edge> _edges = [];
    private long _number;

    public LevelPlan Plan { get; } = EdgeColumns.PlanOf(level);

    public IReadOnlyList<string> LabelNames { get; } = EdgeColumns.LabelsAt(level);

    public int Lines { get; private set; }

    /// <summary>How many there are without __other__ and __unrecorded__.</summary>
    internal int Count { get; private set; }

    /// <summary>The sample lines of an edge.</summary>
    /// <param name="isUnrecorded">Whether it is to __unrecorded__.</param>
    internal int LinesOf(bool isUnrecorded) => Plan.CountLines(EdgeColumns.BlocksOf(Plan, isUnrecorded));

    public List<Account> FindShown()
    {
        var shown = new List<Account>(_edges.Count);
        foreach (var edge in _edges)
        {
            shown.Add(edge.Account!);
        }
        return shown;
    }

    /// <summary>Gives the edge series, which begin at zero or with the counts of its record from a previous process.</summary>
    internal void Open(Edge edge)
    {
        edge.Account = new(EdgeColumns.ValuesAt(level, edge.Key), GroupRoom.Fixed, isHost: false)
        {
            Blocks = EdgeColumns.BlocksOf(Plan, edge.Key.IsUnrecorded),
            Entry = ledger.Open(RecordKind.Edge, edge.Key.Write(level), null),
        };
        edge.Number = ++_number;
        _edges.Insert(~Find(edge), edge);
        Lines += Plan.CountLines(edge.Account.Blocks);
        Count += edge.IsReserved ? 0 : 1;
    }

    /// <summary>Removes its series: one commit removes the record and adds its counts to the total of retired ones.</summary>
    internal void Retire(Edge edge)
    {
        var (blocks, entry) = (edge.Account!.Blocks, edge.Account.Entry!);
        retired.Add(entry, EdgeRow.Fields);
        entry.Remove();
        _edges.RemoveAt(Find(edge));
        edge.Account = null;
        Lines -= Plan.CountLines(blocks);
        Count -= edge.IsReserved ? 0 : 1;
    }

    /// <summary>Retires a record of a previous process that gets no series.</summary>
    internal void Retire(LedgerEntry restored)
    {
        retired.Add(restored, EdgeRow.Fields);
        ledger.Open(RecordKind.Edge, restored.Key, null).Remove();
    }

    /// <summary>Where the edge is, or the complement of where it would be.</summary>
    private int Find(Edge edge) => _edges.BinarySearch(edge, ByKey);
}
