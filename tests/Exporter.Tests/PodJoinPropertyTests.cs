using System.Globalization;
using System.Net;
using System.Text;
using CsCheck;
using Exporter.Pods;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>
/// The rule: no byte is on a pod whose addresses never were the interface's. Any history of pods that follow each other on a few addresses,
/// reported in the order in which things happened, but as late as an API server may; with events that are missed and made up for by a
/// list, and after a boot of the node, when the API server still shows addresses from before. Times are the node's, in milliseconds.
/// </summary>
public sealed class PodJoinPropertyTests
{
    private const int Addresses = 3;

    private static Gen<Plan> Plans(int leastLife) =>
        from addresses in Gen.Select(Gen.Int[0, Addresses - 1], Gen.Int[-1, Addresses - 1])
        from start in Gen.Select(Gen.Int[0, 2_500], Gen.Int[0, 6_000], Gen.OneOf(Gen.Int[0, 500], Gen.Int[0, 8_000]))
        from life in Gen.OneOf(Gen.Int[leastLife, 3_000], Gen.Int[leastLife, 20_000])
        from end in Gen.Select(Gen.Enum<Ending>(), Gen.Int[0, 2_000], Gen.Int[0, 3_000], Gen.Int[0, 40_000])
        from told in Gen.Select(Gen.Int[0, 30_000], Gen.Int[0, 20_000])
        from interfaces in Gen.Int[1, 2]
        select new Plan(addresses.Item1, addresses.Item2, start.Item1, start.Item2, start.Item3, life, end.Item1, end.Item2, end.Item3, end.Item4, told.Item1, told.Item2, interfaces);

    private static readonly Gen<Stall> Stalls =
        from at in Gen.Int[0, 120_000]
        from length in Gen.OneOf(Gen.Int[0, 4_000], Gen.Int[0, 140_000])
        from isNoticed in Gen.Bool
        select new Stall(at, length, isNoticed);

    /// <summary>Events in that time are missed, and a list follows.</summary>
    private static readonly Gen<Gap> Gaps =
        from at in Gen.Int[1, 120_000]
        from length in Gen.Int[0, 90_000]
        select new Gap(at, length);

    /// <summary>The API server is asked for a list beside the watch, whose events are behind it by so much.</summary>
    private static readonly Gen<Question> Questions =
        from at in Gen.Int[1, 120_000]
        from ahead in Gen.OneOf(Gen.Int[0, 500], Gen.Int[0, 20_000])
        select new Question(at, ahead);

    private enum Ending
    {
        /// <summary>A Job's: its object stays for some time after it.</summary>
        Completed,

        /// <summary>Deleted, and its end told of before.</summary>
        Deleted,

        /// <summary>Deleted, and nothing else told of its end.</summary>
        Vanished,

        /// <summary>Its object is deleted while it runs.</summary>
        Forced,
    }

    [Theory]
    [InlineData(500, 400)]
    [InlineData(2_500, 1_000)]
    public void No_interface_is_ever_another_pods_and_each_is_its_pods_if_that_is_told_of_in_time(int leastLife, int longestRound) =>
        (from plans in Plans(leastLife).Array[1, 10]
         from stalls in Stalls.Array[0, 3]
         from questions in Questions.Array[0, 3]
         from rounds in Gen.Int[50, longestRound]
         from seed in Gen.Int
         select new Game(plans, stalls, rounds, seed) { Questions = questions })
        .Sample(game => game.Play(), iter: 1_000, print: game => game.ToString());

    [Theory]
    [InlineData(500, 400)]
    [InlineData(2_500, 1_000)]
    public void No_interface_is_ever_another_pods_after_a_boot_and_each_is_its_pods_if_that_is_told_of_in_time(int leastLife, int longestRound) =>
        (from plans in Plans(leastLife).Array[1, 10]
         from stalls in Stalls.Array[0, 2]
         from rebooted in Gen.Int[1, 6]
         from questions in Questions.Array[0, 3]
         from rounds in Gen.Int[50, longestRound]
         from seed in Gen.Int
         select new Game(plans, stalls, rounds, seed) { Rebooted = rebooted, Questions = questions })
        .Sample(game => game.Play(), iter: 1_000, print: game => game.ToString());

    [Theory]
    [InlineData(500, 400)]
    [InlineData(2_500, 1_000)]
    public void No_interface_is_ever_another_pods_if_events_are_missed_and_pods_are_listed(int leastLife, int longestRound) =>
        (from plans in Plans(leastLife).Array[1, 10]
         from stalls in Stalls.Array[0, 2]
         from gaps in Gaps.Array[1, 3]
         from rebooted in Gen.Int[0, 3]
         from questions in Questions.Array[0, 3]
         from rounds in Gen.Int[50, longestRound]
         from seed in Gen.Int
         select new Game(plans, stalls, rounds, seed) { Rebooted = rebooted, Gaps = gaps, Questions = questions })
        .Sample(game => game.Play(), iter: 1_000, print: game => game.ToString());

    /// <param name="Second">An address of the other family; less than 0: none.</param>
    /// <param name="Gap">From when its addresses are free to when it has them.</param>
    /// <param name="TakenUp">Before its interface.</param>
    /// <param name="Setup">From its interface to its addresses.</param>
    /// <param name="Life">From its addresses to its end.</param>
    /// <param name="Linger">From its end to its interface's.</param>
    /// <param name="EndTold">After its end.</param>
    /// <param name="DeletedTold">After its end was told.</param>
    /// <param name="Told">When its addresses are, after it has them.</param>
    /// <param name="Noise">When something else is told of it, after its addresses.</param>
    private sealed record Plan(
        int First, int Second, int Gap, int TakenUp, int Setup, int Life, Ending Ending, int Linger, int EndTold, int DeletedTold, int Told, int Noise, int Interfaces);

    /// <summary>Nothing comes from the API server.</summary>
    /// <param name="IsNoticed">The connection breaks; else it only is silent.</param>
    private sealed record Stall(int At, int Length, bool IsNoticed);

    private sealed record Gap(int At, int Length);

    private sealed record Question(int At, int Ahead);

    private sealed class Owned(string pod, PodInterface owner)
    {
        internal string Pod => pod;

        internal PodInterface Interface => owner;

        internal IReadOnlyList<IPAddress> Addresses { get; set; } = [];

        internal bool IsGone { get; set; }

        internal bool IsIdentified { get; set; }

        internal long ForgottenAt { get; set; } = long.MaxValue;
    }

    private sealed record Game(Plan[] Plans, Stall[] Stalls, int Rounds, int Seed)
    {
        private const int End = 600_000;

        private static readonly DateTimeOffset BeforeTheBoot = JoiningNode.BootedAt - TimeSpan.FromHours(1);

        /// <summary>The first of the pods were there before the node's boot, and the first list shows addresses from then.</summary>
        internal int Rebooted { get; init; }

        internal Gap[] Gaps { get; init; } = [];

        internal Question[] Questions { get; init; } = [];

        internal void Play() => new Run(this).Play();

        public override string ToString() => $"{string.Join('\n', Plans.AsEnumerable())}\n{string.Join('\n', Stalls.AsEnumerable())}\n{string.Join('\n', Gaps.AsEnumerable())}\n{string.Join('\n', Questions.AsEnumerable())}\nrounds every {Rounds}, seed {Seed}, {Rebooted} from before\n{Run.LogOf(this)}";

        private sealed class Run(Game game)
        {
            private readonly JoiningNode _node = new(isListed: false);
            private readonly Random _random = new(game.Seed);
            private readonly PriorityQueue<(string What, Action Do), (long At, int Order)> _timeline = new();
            private readonly List<(long At, string What, Action? Deliver, string? Pod, ToldPod? State)> _told = [];
            private readonly Dictionary<string, long> _deliveredAt = [];
            private readonly List<Owned> _owned = [];
            private readonly StringBuilder _log = new();
            private long _now;
            private int _order;

            internal static string LogOf(Game game)
            {
                var run = new Run(game);
                try
                {
                    run.Play();
                }
                catch (Exception e) when (e is Xunit.Sdk.XunitException or KeyNotFoundException)
                {
                    run._log.AppendLine(e.Message);
                }
                return run._log.ToString();
            }

            internal void Play()
            {
                _node.ListFirst([.. game.Plans.Take(game.Rebooted).Select((plan, i) => Stale(plan, i))]);
                PlanPods();
                PlanDeliveries();
                for (var at = 0; at < End; at += game.Rounds)
                {
                    Add(at, "", Round);
                    if (at > 200_000)
                    {
                        at += 20 * game.Rounds;
                    }
                }
                while (_timeline.TryDequeue(out var next, out var when))
                {
                    _node.Time.Advance(TimeSpan.FromMilliseconds(when.At - _now));
                    _now = when.At;
                    Log(next.What);
                    next.Do();
                }
                // One may have come and gone between two rounds.
                foreach (var owned in _owned.Where(owned => !owned.IsIdentified && owned.Interface.Addresses.Count > 0 && game.Gaps.Length == 0))
                {
                    Assert.True(owned.ForgottenAt <= _deliveredAt[owned.Pod], $"{owned.Interface.Name} of {owned.Pod} did not become known");
                }
            }

            private void PlanPods()
            {
                var free = new Dictionary<string, (long At, long Told)>();
                for (var i = 0; i < game.Plans.Length; i++)
                {
                    var plan = game.Plans[i];
                    var name = $"pod-{i}";
                    string[] addresses = plan.Second < 0 ? [$"10.0.0.{plan.First}"] : [$"10.0.0.{plan.First}", $"fd00::{plan.Second}"];
                    var former = addresses.Select(address => free.GetValueOrDefault(address)).ToList();
                    var assigned = former.Max(address => address.At) + plan.Gap + 1;
                    // It may be there before the whole life of a pod that has its address before it.
                    var appeared = Math.Max(assigned - plan.Setup, 0);
                    var ended = assigned + plan.Life;
                    var gone = ended + plan.Linger + 1;
                    var endTold = ended + plan.EndTold + 1;
                    // A kubelet that tells of nothing before the end tells of all then.
                    var told = Math.Max(Math.Min(assigned + plan.Told, endTold), former.Max(address => address.Told) + 1);
                    foreach (var address in addresses)
                    {
                        free[address] = (gone, told);
                    }
                    PlanInterfaces(plan, name, addresses, appeared, assigned, gone);
                    var pod = i < game.Rebooted
                        ? Stale(plan, i) with { Addresses = [], StartedAt = [] }
                        : new ToldPod(name) { StartTime = ToldPod.Told(At(appeared - plan.TakenUp)) };
                    PlanEvents(plan, pod, addresses, appeared - plan.TakenUp, assigned, told, ended, endTold);
                }
            }

            /// <summary>A pod as the API server shows it from before the boot; its address may be any.</summary>
            private static ToldPod Stale(Plan plan, int number) =>
                new ToldPod($"pod-{number}") { StartTime = BeforeTheBoot, Addresses = [$"10.0.0.{(plan.First + plan.TakenUp + number) % Addresses}"] }.Running(BeforeTheBoot);

            private void PlanInterfaces(Plan plan, string name, string[] addresses, long appeared, long assigned, long gone)
            {
                var owned = new List<Owned>();
                for (var i = 0; i < plan.Interfaces; i++)
                {
                    // The second may be added while the pod runs, and taken away.
                    var comes = i > 0 && plan.Noise % 3 == 0 ? assigned + (plan.Life / 2) : appeared;
                    var goes = i > 0 && plan.Noise % 5 == 0 ? comes + ((gone - comes) / 2) : gone;
                    Owned? one = null;
                    Add(comes, $"an interface of {name}", () =>
                    {
                        one = new(name, _node.Appear(owned.FirstOrDefault()?.Interface));
                        one.Addresses = comes > assigned ? [.. addresses.Select(IPAddress.Parse)] : [];
                        owned.Add(one);
                        _owned.Add(one);
                    });
                    Add(assigned, "", () => one?.Addresses = [.. addresses.Select(IPAddress.Parse)]);
                    Add(goes, $"an interface of {name} goes", () => one!.IsGone = true);
                }
                Add(assigned, $"{name} has {string.Join(", ", addresses)}", () => { });
            }

            private void PlanEvents(Plan plan, ToldPod pod, string[] addresses, long start, long assigned, long told, long ended, long endTold)
            {
                endTold = Math.Max(endTold, told);
                // Some kubelets report the containers' times, some the sandbox's as well, some an image that is still being pulled.
                var running = (pod with { Addresses = addresses, ReadyAt = plan.Noise % 2 == 0 ? ToldPod.Told(At(assigned)) : null }).Running(At(assigned + Math.Min(plan.Gap, plan.Life)));
                var over = running.Over(At(ended));
                var deleting = running with { DeletedAt = ToldPod.Told(At(endTold)) };
                // A kubelet may remove the address from before, or say nothing before the new one is there.
                if (pod.StartTime > JoiningNode.BootedAt || plan.TakenUp % 2 == 0)
                {
                    Tell(Math.Max(0, start), $"{pod.Name} is pending", pod with { Phase = "Pending" });
                }
                if (plan.Ending == Ending.Forced && told < ended)
                {
                    Tell(told, $"{pod.Name} runs", running, isKnown: true);
                    TellDeleted(told + ((ended - told) / 2), $"{pod.Name} is deleted by force", running);
                    return;
                }
                if (told < endTold)
                {
                    Tell(told, $"{pod.Name} runs", running, isKnown: true);
                    if (told + plan.Noise < endTold)
                    {
                        Tell(told + plan.Noise, $"{pod.Name} is still running", running);
                    }
                }
                switch (plan.Ending)
                {
                    case Ending.Completed:
                        Tell(endTold, $"{pod.Name} succeeded", over, isKnown: true);
                        TellDeleted(endTold + plan.DeletedTold + 1, $"{pod.Name} is deleted after its end", over);
                        break;
                    case Ending.Deleted:
                        Tell(endTold, $"{pod.Name} is being deleted", deleting, isKnown: true);
                        TellDeleted(endTold + (plan.DeletedTold / 20) + 1, $"{pod.Name} is deleted", over with { DeletedAt = deleting.DeletedAt });
                        break;
                    default:
                        TellDeleted(endTold, $"{pod.Name} is deleted at once", deleting, isKnown: true);
                        break;
                }
            }

            private void PlanDeliveries()
            {
                for (var at = 60_000; at < End; at += 60_000)
                {
                    _told.Add((at, "a bookmark", () => { }, null, null));
                }
                foreach (var stall in game.Stalls.Where(stall => stall.IsNoticed))
                {
                    Add(stall.At, "the API server is gone", () => _node.Store.SetCurrent(false));
                }
                var last = 0L;
                foreach (var (at, what, tell) in Deliveries())
                {
                    var delivered = at + _random.Next(100);
                    while (Array.Find(game.Stalls, stall => delivered >= stall.At && delivered < stall.At + stall.Length) is { } stall)
                    {
                        delivered = stall.At + stall.Length;
                    }
                    // What was held back comes in one go, and the reconciler has a round whenever it may.
                    last = Math.Max(delivered, last + _random.Next(10));
                    Add(last, $"told: {what}", () =>
                    {
                        _node.Hear();
                        tell();
                        _node.Store.RemoveExpired();
                    });
                    if (_random.Next(2) == 0)
                    {
                        Add(last, "", Round);
                    }
                }
            }

            /// <summary>What the reconciler does.</summary>
            private void Round()
            {
                foreach (var owned in _owned.Where(owned => owned.ForgottenAt == long.MaxValue))
                {
                    if (owned.IsGone)
                    {
                        owned.Interface.GoneAt ??= _node.Now;
                    }
                    else
                    {
                        _node.SetAddresses(owned.Interface, owned.Addresses);
                    }
                }
                var hasChanged = _node.Source.TakeChanges();
                var asked = _owned.Where(owned => owned.ForgottenAt == long.MaxValue && (hasChanged || !owned.IsIdentified)).ToArray();
                _random.Shuffle(asked);
                foreach (var owned in asked)
                {
                    var pod = _node.Source.Identify(owned.Interface)?.Name;
                    Assert.True(pod == owned.Pod || (pod is null && !owned.IsIdentified), $"{owned.Interface.Name} of {owned.Pod} is {pod}'s");
                    if (pod is not null && !owned.IsIdentified)
                    {
                        owned.IsIdentified = true;
                        Log($"{owned.Interface.Name} is {pod}'s");
                    }
                }
                foreach (var owned in _owned.Where(owned => owned.ForgottenAt == long.MaxValue && owned.Interface.GoneAt is { } gone && (owned.IsIdentified || _node.Now - gone >= JoiningNode.Keep)))
                {
                    owned.ForgottenAt = _now;
                    _node.Source.Forget(owned.Interface);
                    Log($"{owned.Interface.Name} is forgotten");
                }
            }

            /// <summary>What comes: the events that are not missed, and the lists.</summary>
            private IEnumerable<(long At, string What, Action Deliver)> Deliveries()
            {
                var lists = game.Gaps.Select(gap => Entry((long)gap.At + gap.Length, "a list", null));
                var answers = game.Questions.Select(question =>
                    Entry(question.At, "an answer", () => _node.Answer(At(question.At), StateAt((long)question.At + question.Ahead))));
                foreach (var told in _told.Concat(lists).Concat(answers).OrderBy(told => told.At))
                {
                    if (told.What == "a list")
                    {
                        var listed = StateAt(told.At);
                        yield return (told.At, $"a list of {string.Join(", ", listed.Select(pod => pod.Name))}", () => _node.List(At(told.At), listed));
                    }
                    else if (told.Deliver is { } deliver && !Array.Exists(game.Gaps, gap => told.At >= gap.At && told.At < gap.At + gap.Length))
                    {
                        yield return (told.At, told.What, deliver);
                    }
                }
            }

            private static (long At, string What, Action? Deliver, string? Pod, ToldPod? State) Entry(long at, string what, Action? deliver) => (at, what, deliver, null, null);

            /// <summary>The pods that the API server shows at that time.</summary>
            private ToldPod[] StateAt(long at)
            {
                var pods = game.Plans.Take(game.Rebooted).Select((plan, i) => Stale(plan, i)).ToDictionary(pod => pod.Name);
                foreach (var told in _told.Where(told => told.At <= at && told.Pod is not null).OrderBy(told => told.At))
                {
                    pods.Remove(told.Pod!);
                    if (told.State is { } state)
                    {
                        pods[told.Pod!] = state;
                    }
                }
                return [.. pods.Values];
            }

            private void Tell(long at, string what, ToldPod pod, bool isKnown = false) =>
                _told.Add((at, what, () => Deliver(pod, () => _node.Tell(pod), isKnown), pod.Name, pod));

            private void TellDeleted(long at, string what, ToldPod pod, bool isKnown = false) =>
                _told.Add((at, what, () => Deliver(pod, () => _node.TellDeleted(pod), isKnown), pod.Name, null));

            private void Deliver(ToldPod pod, Action tell, bool isKnown)
            {
                tell();
                if (isKnown)
                {
                    _deliveredAt.TryAdd(pod.Name, _now);
                }
            }

            private void Add(long at, string what, Action action) => _timeline.Enqueue((what, action), (at, _order++));

            private void Log(string what)
            {
                if (what.Length > 0)
                {
                    _log.AppendLine(CultureInfo.InvariantCulture, $"{_now,7} {what}");
                }
            }

            private static DateTimeOffset At(long milliseconds) => JoiningNode.Start + TimeSpan.FromMilliseconds(milliseconds);
        }
    }
}
