using Exporter.Accounts;
using Exporter.Bpf;
using Exporter.Commands;
using Exporter.Edges;
using Exporter.Options;
using Exporter.Pods;
using Exporter.Signals;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
using Microsoft.Extensions.Configuration;

namespace Exporter.Tests.Support;

/// <summary>The rows of a record of the ledger, as values.</summary>
internal struct LedgerCounts
{
    internal TrafficValue Traffic;
    internal HandshakeValue Handshakes;

    internal readonly ulong[] Words => [.. RowFields.RowOf(Traffic), .. RowFields.RowOf(Handshakes)];
}

/// <summary>The signals with the options' defaults.</summary>
internal static class EverySignal
{
    internal static IReadOnlyList<Signal> Defaults { get; } = ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().Build())).Signals;

    /// <summary>Of the signals alone.</summary>
    internal static IReadOnlyList<RowFields> SignalRows { get; } = [.. Defaults.Select(signal => signal.Fields)];

    /// <summary>As a ledger has them.</summary>
    internal static IReadOnlyList<RowFields> Rows { get; } = [.. SignalRows, EdgeRow.Fields];

    /// <summary>Of those that are off.</summary>
    internal static IReadOnlyList<RowFields> Unused { get; } = [.. Defaults.Where(signal => !signal.IsOn).Select(signal => signal.Fields), EdgeRow.Fields];

    internal static IReadOnlyList<SignalTotals> Totals { get; } = [.. Defaults.Select(signal => signal.Totals), EdgeColumns.Totals];
}

/// <summary>Values where the program has rows.</summary>
internal static class RowValues
{
    extension(LedgerEntry entry)
    {
        internal LedgerCounts Committed => new() { Traffic = Read<TrafficValue>(entry, TrafficValue.Fields), Handshakes = Read<HandshakeValue>(entry, HandshakeValue.Fields) };

        internal LedgerCounts Total
        {
            get
            {
                var (traffic, handshakes) = (new ulong[TrafficValue.Fields.Count], new ulong[HandshakeValue.Fields.Count]);
                entry.ReadTotal(TrafficValue.Fields, traffic);
                entry.ReadTotal(HandshakeValue.Fields, handshakes);
                return new() { Traffic = RowFields.ValueOf<TrafficValue>(traffic), Handshakes = RowFields.ValueOf<HandshakeValue>(handshakes) };
            }
        }

        internal void Add(in TrafficValue traffic) => entry.Add(TrafficValue.Fields, RowFields.RowOf(traffic));

        internal void Add(in HandshakeValue handshakes) => entry.Add(HandshakeValue.Fields, RowFields.RowOf(handshakes));

        internal void Add(in LedgerCounts counts)
        {
            entry.Add(counts.Traffic);
            entry.Add(counts.Handshakes);
        }
    }

    extension(ExporterOptions options)
    {
        internal HandshakeOptions Handshake => options.Signals.OfType<HandshakeSignal>().Single().Options;

        /// <summary>The levels that there are series at.</summary>
        internal IEnumerable<SeriesLevel> Levels => options.CreatePlan().Levels.Select(level => level.Level);

        /// <summary>The level of a family; null: there is no such family with these options.</summary>
        internal SeriesLevel? LevelOf(string family) => options.CreatePlan().Levels
            .Where(level => level.Families.Any(one => family.StartsWith(one.Name, StringComparison.Ordinal)))
            .Select(level => (SeriesLevel?)level.Level)
            .FirstOrDefault();
    }

    extension(HandshakeValue value)
    {
        /// <summary>The same, with its durations in the ranges of other bounds.</summary>
        internal HandshakeValue WithBounds(IReadOnlyList<ulong> bounds)
        {
            var regrouped = value;
            HandshakeValue.Regroup(RowFields.CountersOf(ref regrouped), bounds);
            return regrouped;
        }
    }

    extension(IPodAccount account)
    {
        internal void Add(in TrafficValue traffic) => account.Add(TrafficValue.Fields, RowFields.RowOf(traffic));

        internal void Add(in HandshakeValue handshakes) => account.Add(HandshakeValue.Fields, RowFields.RowOf(handshakes));
    }

    extension(IInterfaceRecord record)
    {
        internal void Add(in TrafficValue traffic) => record.Add(TrafficValue.Fields, RowFields.RowOf(traffic));
    }

    extension(ref TrafficValue sum)
    {
        internal void Add(in TrafficValue more) => RowFields.Add(RowFields.CountersOf(ref sum), RowFields.RowOf(more));
    }

    extension(ref HandshakeValue sum)
    {
        internal void Add(in HandshakeValue more) => RowFields.Add(RowFields.CountersOf(ref sum), RowFields.RowOf(more));
    }

    extension(HandshakeRole role)
    {
        /// <summary>Handshakes, completed and failed.</summary>
        internal ulong Total
        {
            get
            {
                var total = 0ul;
                foreach (var range in (ReadOnlySpan<HandshakeDuration>)role.Durations)
                {
                    total += range.Handshakes;
                }
                foreach (var failures in (ReadOnlySpan<ulong>)role.Failures)
                {
                    total += failures;
                }
                return total;
            }
        }
    }

    extension(Ledger)
    {
        internal static Ledger OpenIn(ILedgerMemory memory) => Ledger.OpenIn(memory, EverySignal.Rows, EverySignal.Unused);

        internal static Ledger Open(PinDirectory? pins) => Ledger.Open(pins, EverySignal.Rows, EverySignal.Unused);

        internal static MapLayout Layout => Ledger.LayoutOf(EverySignal.Rows);
    }

    private static TValue Read<TValue>(LedgerEntry entry, RowFields fields)
        where TValue : unmanaged =>
        entry.ReadCommitted(fields) is { IsEmpty: false } row ? RowFields.ValueOf<TValue>(row) : default;
}
