using System.Runtime.InteropServices;
using CsCheck;
using Exporter.Bpf;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.State;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// Whenever a process is killed, the next one finds what was committed, all of it and nothing else: any of the words of a commit may be
/// stored by then, in any order, but for its last.
/// </summary>
public sealed class LedgerCrashTests
{
    private const int Keys = 6;
    private const int Pairs = 3;

    private static readonly Gen<Action<History>> Steps = Gen.Frequency(
        (8, from key in Gen.Int[0, Keys - 1] from count in Gen.ULong[1, 1000] select new Action<History>(history => history.Add(key, count))),
        (2, from key in Gen.Int[0, Keys - 1] select new Action<History>(history => history.Remove(key))),
        (3, Gen.Const(new Action<History>(history => history.Commit(null)))),
        (3, from pair in Gen.Int[1, Pairs] from map in Gen.Int[1, 2] select new Action<History>(history => history.Commit(new(pair * 10, (pair * 10) + map)))),
        (2, from key in Gen.Int[0, Keys - 1] select new Action<History>(history => history.OpenNow(key))),
        (1, from pair in Gen.Int[1, Pairs] select new Action<History>(history => history.Forget(pair * 10))),
        (1, Gen.Const(new Action<History>(history => history.Restart()))));

    [Fact]
    public void Whatever_is_stored_of_a_commit_the_next_process_finds_the_state_before_or_after_it() =>
        (from others in Gen.OneOf(Gen.Const(0), Gen.Const(124)) from steps in Steps.List[1, 25] from seed in Gen.Int select (others, steps, seed)).Sample(
            drawn =>
            {
                var history = new History(drawn.others, new Random(drawn.seed), goesOnFromTorn: false);
                drawn.steps.ForEach(step => step(history));
                history.Restart();
            },
            iter: 25,
            print: drawn => $"{drawn.others} others, {drawn.steps.Count} steps, seed {drawn.seed}");

    /// <summary>The same, and there the next process goes on, and is killed again.</summary>
    [Fact]
    public void Killed_again_and_again_nothing_is_ever_half_there() =>
        (from steps in Steps.List[1, 40] from seed in Gen.Int select (steps, seed)).Sample(
            drawn =>
            {
                var history = new History(0, new Random(drawn.seed), goesOnFromTorn: true);
                drawn.steps.ForEach(step => step(history));
                history.Restart();
            },
            iter: 50,
            print: drawn => $"{drawn.steps.Count} steps, seed {drawn.seed}");

    /// <summary>
    /// Programs count into the active map of each pair, whatever becomes of the exporter; it swaps, reads, commits and clears as
    /// <see cref="Exporter.Bpf.DoubleBufferedMap{TKey, TValue}"/> does, and is killed at any step.
    /// </summary>
    [Fact]
    public void Whenever_the_exporter_is_killed_in_a_drain_all_is_counted_once_and_no_series_goes_back() =>
        (from traffic in Gen.Int[0, 3].List[1, 60] from seed in Gen.Int from patience in Gen.Int[1, 30] select (traffic, seed, patience)).Sample(
            drawn =>
            {
                var random = new Random(drawn.seed);
                var node = new DrainedNode(random);
                foreach (var packets in drawn.traffic)
                {
                    node.Pass(packets);
                    node.Step();
                    if (random.Next(drawn.patience) == 0)
                    {
                        node.Kill();
                    }
                }
                node.Finish();
            },
            iter: 120,
            print: drawn => $"{drawn.traffic.Count} steps, seed {drawn.seed}, killed at one of {drawn.patience}");

    private static LedgerCounts Full(ulong count)
    {
        LedgerCounts counts = default;
        MemoryMarshal.Cast<TrafficValue, ulong>(MemoryMarshal.CreateSpan(ref counts.Traffic, 1)).Fill(count);
        MemoryMarshal.Cast<HandshakeValue, ulong>(MemoryMarshal.CreateSpan(ref counts.Handshakes, 1)).Fill(count);
        return counts;
    }

    /// <summary>All counters of these records are the same, or else they are of more than one commit.</summary>
    private static ulong AnyOf(LedgerCounts counts)
    {
        var words = counts.Words;
        Assert.Equal(-1, words.IndexOfAnyExcept(words[0]));
        return words[0];
    }

    /// <summary>What a ledger says, or has to say.</summary>
    private sealed record State(Dictionary<(RecordKind Kind, int Key), ulong> Records, Dictionary<int, int> Kept)
    {
        internal State Copy() => new(new(Records), new(Kept));

        internal void AssertEqual(KeptMemory memory) => Assert.Equal(ToString(), Read(Ledger.OpenIn(memory.Copy())));

        public override string ToString() => Write(Records.Select(record => (record.Key.Kind, record.Key.Key, record.Value)), Kept.Values);

        /// <summary>What the next process would find.</summary>
        internal static string Read(Ledger ledger) => Write(
            Enum.GetValues<RecordKind>().SelectMany(ledger.FindRestored).Select(entry => (entry.Kind, (int)RecordKey.ReadNumber(entry.Key), AnyOf(entry.Committed))),
            Enumerable.Range(1, (Pairs * 10) + 9).Where(ledger.IsCommitted));

        private static string Write(IEnumerable<(RecordKind Kind, int Key, ulong Count)> records, IEnumerable<int> kept) =>
            $"{string.Join(' ', records.Order().Select(record => $"{record.Kind}{record.Key}={record.Count}"))}; {string.Join(' ', kept.Order())}";
    }

    /// <summary>A ledger, and beside it what was committed and what will be.</summary>
    private sealed class History
    {
        private const int Torn = 4;

        private readonly Random _random;
        private readonly bool _goesOnFromTorn;
        private readonly Dictionary<(RecordKind Kind, int Key), LedgerEntry> _open = [];
        private KeptMemory _memory = new();
        private KeptMemory _before;
        private Ledger _ledger;
        private State _committed = new([], []);
        private State _next = new([], []);

        internal History(int others, Random random, bool goesOnFromTorn)
        {
            (_random, _goesOnFromTorn) = (random, goesOnFromTorn);
            _ledger = Ledger.OpenIn(_memory);
            _before = _memory.Copy();
            for (var i = 0; i < others; i++)
            {
                Add(100 + i, 1);
            }
            Commit(null);
        }

        internal void Add(int key, ulong count)
        {
            var record = (RecordKind.Group, key);
            if (!_open.TryGetValue(record, out var entry))
            {
                _open[record] = entry = _ledger.Open(RecordKind.Group, RecordKey.Of("", (ulong)key), null);
            }
            lock (_ledger.Lock)
            {
                entry.Add(Full(count));
            }
            _next.Records[record] = _next.Records.GetValueOrDefault(record) + count;
        }

        internal void Remove(int key)
        {
            foreach (var kind in (RecordKind[])[RecordKind.Group, RecordKind.Interface])
            {
                if (_open.Remove((kind, key), out var entry))
                {
                    entry.Remove();
                    _next.Records.Remove((kind, key));
                }
            }
        }

        internal void Commit(CommittedMap? kept)
        {
            if (kept is { } map)
            {
                _next.Kept[map.Pair] = map.Map;
            }
            Commit(
                () =>
                {
                    lock (_ledger.Lock)
                    {
                        _ledger.Commit(kept is { } map ? [map] : []);
                    }
                },
                _next.Copy());
        }

        internal void OpenNow(int key)
        {
            var record = (RecordKind.Interface, key);
            if (_open.ContainsKey(record) || _committed.Records.ContainsKey(record))
            {
                return;
            }
            var after = _committed.Copy();
            after.Records[record] = _next.Records[record] = 0;
            Commit(() => _open[record] = _ledger.OpenNow(RecordKind.Interface, RecordKey.Of("", (ulong)key)), after);
        }

        internal void Forget(int pair)
        {
            var after = _committed.Copy();
            after.Kept.Remove(pair);
            _next.Kept.Remove(pair);
            Commit(() => _ledger.ForgetOthers([.. after.Kept.Keys]), after);
        }

        /// <summary>What is not committed is gone.</summary>
        internal void Restart() => GoOnFrom(_memory, _committed);

        private void GoOnFrom(KeptMemory memory, State state)
        {
            (_memory, _committed, _next) = (memory, state, state.Copy());
            _open.Clear();
            _ledger = Ledger.OpenIn(_memory);
            Assert.Equal(_committed.ToString(), State.Read(_ledger));
            // Opening is a store, too.
            _committed.AssertEqual(_memory);
            _before = _memory.Copy();
        }

        private void Commit(Action commit, State after)
        {
            CheckEveryPoint(commit, after);
            after.AssertEqual(_memory);
            if (_goesOnFromTorn)
            {
                if (_random.Next(3) == 0)
                {
                    GoOnFrom(Tear(), _committed);
                    return;
                }
            }
            else
            {
                for (var i = 0; i < Torn; i++)
                {
                    _committed.AssertEqual(Tear());
                }
            }
            _committed = after;
            _before = _memory.Copy();
        }

        /// <summary>Before the first, between any two and after the last of the records that are written there is the state before, or the one after.</summary>
        private void CheckEveryPoint(Action commit, State after)
        {
            var found = new List<string>();
            if (_next.Records.Count <= Keys * 2)
            {
                _memory.OnAccess = () => found.Add(State.Read(Ledger.OpenIn(_memory.Copy())));
            }
            commit();
            _memory.OnAccess = null;
            Assert.All(found.SkipWhile(state => state == _committed.ToString()), state => Assert.Equal(after.ToString(), state));
        }

        private KeptMemory Tear()
        {
            var stored = _random.Next(101);
            return _before.Tear(_memory, () => _random.Next(100) < stored);
        }
    }

    /// <summary>One node: maps that outlive the exporter, and the exporter that is killed.</summary>
    private sealed class DrainedNode
    {
        private readonly Random _random;
        private readonly DrainedPair[] _pairs = [new(10, 11, 12), new(20, 21, 22)];
        private readonly ulong[] _generated = new ulong[Keys];
        private readonly ulong[] _seen = new ulong[Keys];
        private KeptMemory _memory = new();
        private Ledger _ledger = null!;
        private Shown[] _shown = [];
        private LedgerEntry[] _entries = [];
        private IEnumerator<bool> _drain = null!;

        /// <summary>As it was before the commit that is the last step; null: that was none.</summary>
        private KeptMemory? _before;

        internal DrainedNode(Random random)
        {
            _random = random;
            Start();
        }

        internal void Pass(int packets)
        {
            for (var i = 0; i < packets; i++)
            {
                var (key, count) = (_random.Next(Keys), (ulong)_random.Next(1, 1000));
                _pairs[_random.Next(_pairs.Length)].Count(key, count);
                _generated[key] += count;
            }
        }

        internal void Step()
        {
            _before = null;
            if (!_drain.MoveNext())
            {
                _drain = Drain().GetEnumerator();
            }
            CheckShown();
        }

        internal void Kill()
        {
            if (_before is { } before && _random.Next(2) == 0)
            {
                // On the way, so that what it showed after is not seen by anybody.
                var stored = _random.Next(101);
                _memory = before.Tear(_memory, () => _random.Next(100) < stored);
            }
            else
            {
                _memory = _memory.Copy();
                See();
            }
            Start();
        }

        /// <summary>Two drains read whatever there still is.</summary>
        internal void Finish()
        {
            while (_drain.MoveNext())
            {
            }
            foreach (var _ in Drain().Concat(Drain()))
            {
            }
            Assert.Equal(_generated, _shown.Select(shown => shown.Packets));
            Assert.All(_pairs, pair => Assert.True(pair.IsEmpty));
        }

        private void Start()
        {
            _before = null;
            _ledger = Ledger.OpenIn(_memory);
            foreach (var pair in _pairs)
            {
                pair.Start(_ledger.IsCommitted);
            }
            _ledger.ForgetOthers([.. _pairs.Select(pair => pair.Id)]);
            _shown = [.. Enumerable.Range(0, Keys).Select(_ => new Shown())];
            _entries = [.. _shown.Select((shown, key) => _ledger.Open(RecordKind.Group, RecordKey.Of("", (ulong)key), shown))];
            _drain = Drain().GetEnumerator();
            CheckShown();
        }

        /// <summary>A scrape may come after any step that is not the last before the end of the process.</summary>
        private void CheckShown()
        {
            for (var key = 0; key < Keys; key++)
            {
                Assert.InRange(_shown[key].Packets, _seen[key], _generated[key]);
            }
            if (_before is null)
            {
                See();
            }
        }

        private void See() => _shown.Select(shown => shown.Packets).ToArray().CopyTo(_seen, 0);

        private IEnumerable<bool> Drain()
        {
            foreach (var pair in _pairs)
            {
                foreach (var step in pair.Read())
                {
                    yield return step;
                }
                _before = _memory.Copy();
                lock (_ledger.Lock)
                {
                    foreach (var (key, count) in pair.Idle)
                    {
                        _entries[key].Add(Full(count));
                    }
                    _ledger.Commit([new(pair.Id, pair.IdleId)]);
                }
                yield return true;
                foreach (var step in pair.Clear())
                {
                    yield return step;
                }
            }
        }
    }

    /// <summary>The steps of a DoubleBufferedMap. Only the stage is the process's own.</summary>
    private sealed class DrainedPair(int id, int one, int other)
    {
        private readonly Dictionary<int, ulong>[] _maps = [[], []];
        private int _slot;
        private char _stage;

        internal int Id => id;

        internal int IdleId => _slot == 0 ? other : one;

        internal Dictionary<int, ulong> Idle => _maps[1 - _slot];

        internal bool IsEmpty => _maps.All(map => map.Count == 0);

        internal void Count(int key, ulong count) => _maps[_slot][key] = _maps[_slot].GetValueOrDefault(key) + count;

        internal void Start(Func<int, bool> isKept) => _stage = isKept(IdleId) ? 'K' : 'U';

        /// <summary>Each step that it comes to.</summary>
        internal IEnumerable<bool> Read()
        {
            if (_stage == 'K')
            {
                foreach (var step in Clear())
                {
                    yield return step;
                }
            }
            if (_stage == 'E')
            {
                _slot = 1 - _slot;
                _stage = 'U';
                yield return true;
            }
        }

        internal IEnumerable<bool> Clear()
        {
            _stage = 'K';
            foreach (var key in Idle.Keys.ToList())
            {
                Idle.Remove(key);
                yield return true;
            }
            _stage = 'E';
            yield return true;
        }
    }

    private sealed class Shown : ILedgerView
    {
        internal ulong Packets { get; private set; }

        public void Show(RowFields fields, ReadOnlySpan<ulong> row) =>
            Packets += fields == TrafficValue.Fields ? RowFields.ValueOf<TrafficValue>(row).Transmit.Transports[0].Packets : 0;

        public void Restore(RowFields fields, ReadOnlySpan<ulong> row) => Show(fields, row);
    }
}
