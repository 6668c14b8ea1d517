using System.Text;
using Exporter.Records;
using Exporter.Signals.Flows;

namespace Exporter.Engine.Tests.Golden;

/// <summary>Writes the conversations of a scenario as the nodes' records, by the product's own writer.</summary>
internal sealed class GoldenWriter(GoldenScenario scenario, GoldenTruth truth, int seed) : IDisposable
{
    private const string Sink = "kafka";

    /// <summary>Of an address, between its announcements.</summary>
    private static readonly TimeSpan IdentityInterval = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan LongestAgo = TimeSpan.FromMinutes(1);

    private readonly Random _random = new(seed);
    private readonly List<GoldenRecord> _records = [];
    private readonly RecordWriter _writer = new(RecordFields.All);
    private readonly LineKey _key = new();

    /// <summary>The records of all nodes that were written.</summary>
    internal IReadOnlyList<GoldenRecord> Records => _records;

    /// <summary>Writes all records of a node.</summary>
    internal void Write(GoldenNode node)
    {
        var sights = FindSights(node).ToLookup(found => found.Interval, found => found.Sight);
        var announced = new Dictionary<GoldenPod, TimeSpan>();
        var (issued, boot, appended) = (0ul, 0, DateTimeOffset.MinValue);
        for (var interval = node.IntervalOf(TimeSpan.Zero); node.ReadingOf(interval) < GoldenScenario.Duration; interval++)
        {
            var reading = node.ReadingOf(interval);
            if (node.IsAway(reading) || node.IsAway(node.StartOf(interval)))
            {
                continue;
            }
            if (node.BootAt(reading) != boot)
            {
                (issued, boot) = (0, node.BootAt(reading));
                announced.Clear();
            }
            var context = node.ContextOf(interval, truth.Begin, seed);
            var sent = truth.Begin + reading + node.DelayAt(reading);
            appended = sent > appended ? sent : appended.AddMilliseconds(1);
            issued = Write(node, interval, context, sights[interval], issued, appended);
            Announce(node, interval, context, announced, appended);
        }
    }

    public void Dispose() => _writer.Dispose();

    /// <summary>The conversations of the node's pods, by its intervals.</summary>
    private IEnumerable<(long Interval, Sight Sight)> FindSights(GoldenNode node)
    {
        foreach (var conversation in scenario.Conversations)
        {
            if (conversation.Source.Pod?.Node == node.Number)
            {
                foreach (var found in FindSights(node, conversation, FlowObserver.Source))
                {
                    yield return found;
                }
            }
            // A packet that is not answered is dropped on its way.
            if (conversation.Destination.Pod?.Node == node.Number && (conversation.HasReply || conversation.Source.Pod is null))
            {
                foreach (var found in FindSights(node, conversation, FlowObserver.Destination))
                {
                    yield return found;
                }
            }
        }
    }

    private static IEnumerable<(long Interval, Sight Sight)> FindSights(GoldenNode node, Conversation conversation, FlowObserver observer)
    {
        foreach (var steps in Enumerable.Range(0, conversation.Steps).GroupBy(step => node.IntervalOf(conversation.TimeOf(step))))
        {
            var (first, last) = (steps.First(), steps.Last());
            yield return (steps.Key, new(conversation, observer, last - first + 1, conversation.TimeOf(first), first == 0, last == conversation.Steps - 1));
        }
        if (conversation.Group != FlowGroup.Connection)
        {
            yield break;
        }
        var silent = new Sight(conversation, observer, 0, conversation.Last, IsFirst: false, IsLast: true);
        var begun = node.IntervalOf(conversation.Start);
        if (conversation is { IsTcp: true, Outcome: Outcome.Unanswered } && SightRecord.IsYoung(conversation, node.ReadingOf(begun)))
        {
            yield return (begun + 1, silent);
        }
        var end = conversation.Last + FlowTable.IdleAfter;
        if ((!conversation.IsTcp || conversation.Outcome is Outcome.Kept or Outcome.Unanswered or Outcome.HalfOpen) && node.BootAt(end) == node.BootAt(conversation.Last))
        {
            yield return (node.IntervalOf(end), silent with { IsIdle = true });
        }
    }

    /// <summary>Writes the flow, rest and interval records of an interval.</summary>
    /// <returns>The records that were issued since the boot.</returns>
    private ulong Write(GoldenNode node, long interval, RecordContext context, IEnumerable<Sight> sights, ulong issued, DateTimeOffset appended)
    {
        var reading = node.ReadingOf(interval);
        var lost = node.Losses.FirstOrDefault(loss => node.IntervalOf(loss.At) == interval).Records;
        var (records, bytes) = (0ul, 0ul);
        foreach (var sight in sights)
        {
            var record = SightRecord.Make(context, sight, truth.Begin + node.AheadAt(reading), reading);
            record.Sequence = (long)records++;
            var key = Encoding.UTF8.GetString(_key.Of(context, record));
            var line = Text(_writer.Write(context, record));
            bytes += (ulong)line.Length + 1;
            // Of a kind that the traffic has many of.
            if (lost > 0 && sight.Conversation is { Steps: 1, Outcome: Outcome.Answered, IsTcp: true })
            {
                lost--;
                continue;
            }
            Append(appended, key, line, "flows");
            if (sight.Counts && node.AheadAt(reading) < LongestAgo)
            {
                truth.Add(context.Timestamp, sight);
            }
        }
        if (lost > 0)
        {
            throw new InvalidOperationException($"{node.Name} has too few records in interval {context.Interval} for its losses");
        }
        foreach (var pod in scenario.Cluster.Pods.Where(pod => pod.Node == node.Number && interval % 3 == 0 && pod.From <= node.StartOf(interval) && pod.Until > reading).Take(1))
        {
            var rest = new RestRecord { Reason = RestReason.NotIp, Direction = RestDirection.Transmit, Bytes = 42, Packets = 1, Pod = pod.Names, InterfaceName = $"veth{pod.Generation}", Generation = pod.Generation, Sequence = (long)records++ };
            var line = Text(_writer.Write(context, rest));
            bytes += (ulong)line.Length + 1;
            Append(appended, node.Name, line, "rests");
        }
        var end = new IntervalRecord { Sequence = (long)records, Sink = Sink, Records = records, Bytes = bytes, Issued = issued + records, Acknowledged = issued, Lost = 0 };
        Append(appended, node.Name, Text(_writer.Write(context, end)), "intervals");
        return issued + records;
    }

    private void Announce(GoldenNode node, long interval, RecordContext context, Dictionary<GoldenPod, TimeSpan> announced, DateTimeOffset appended)
    {
        var reading = node.ReadingOf(interval);
        foreach (var pod in scenario.Cluster.Pods.Where(pod => pod.Node == node.Number && pod.From <= reading && pod.Until > node.StartOf(interval)))
        {
            var isKnown = announced.TryGetValue(pod, out var last);
            // The node's clock decides: set back, it announces again.
            var passed = reading + node.AheadAt(reading) - last;
            if (isKnown && passed >= TimeSpan.Zero && passed < IdentityInterval)
            {
                continue;
            }
            announced[pod] = reading + node.AheadAt(reading);
            var from = truth.Begin + pod.From + node.AheadAt(reading);
            var oldest = context.Timestamp - LongestAgo;
            var identity = new IdentityRecord { Address = pod.Address, From = from, Pod = pod.Names, PodUid = $"uid-{pod.Names.Pod}", Timestamp = isKnown ? context.Timestamp : from > oldest ? from : oldest };
            Append(appended, Encoding.UTF8.GetString(_key.Of(identity.Address)), Text(_writer.Write(context, identity)), "identities");
        }
    }

    private void Append(DateTimeOffset appended, string key, string line, string kind)
    {
        const double RepeatedShare = 0.02;
        const double LongestRepeat = 20;
        truth.Count(kind);
        _records.Add(new(appended, key, line));
        if (_random.NextDouble() < RepeatedShare)
        {
            truth.Count("repeats");
            _records.Add(new(appended.AddSeconds(1 + (LongestRepeat * _random.NextDouble())), key, line));
        }
    }

    private static string Text(ReadOnlySpan<byte> line) => Encoding.UTF8.GetString(line).TrimEnd('\n');
}
