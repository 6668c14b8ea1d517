using System.Globalization;
using System.Net;
using Exporter.Commands;
using Exporter.Kubernetes;
using Exporter.Pods;
using Microsoft.Extensions.Time.Testing;
using Prometheus;

namespace Exporter.Tests.Support;

/// <summary>
/// Pods that an API server tells of, and the interfaces of a node. A test does the parts of the watch and of the reconciler.
/// </summary>
internal sealed class JoiningNode
{
    internal const string Address = "10.0.0.1";
    internal const string OtherAddress = "10.0.0.2";

    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private long _generation;

    internal JoiningNode(params (string Key, string? Value)[] settings)
        : this(isListed: true, settings)
    {
    }

    /// <param name="isListed">Whether the pods have been listed, and there were none.</param>
    internal JoiningNode(bool isListed, params (string Key, string? Value)[] settings)
    {
        Options = TestOptions.Read(settings);
        Store = new(Time, Keep);
        Source = new(Store, Options.CreateLabels(), Time, BootedAt, new(Prometheus.Metrics.WithCustomRegistry(_registry)));
        Store.SetCurrent(true);
        if (isListed)
        {
            ListFirst();
        }
    }

    internal static TimeSpan Keep { get; } = TimeSpan.FromSeconds(30);

    /// <summary>Options have changed: other labels, and new objects for these interfaces, which know nothing but their generations.</summary>
    internal IReadOnlyList<PodInterface> ChangeOptions((string Key, string? Value) setting, params PodInterface[] interfaces)
    {
        var options = TestOptions.Read(setting);
        Source.Configure(options.CreateLabels(), Keep);
        IReadOnlyList<PodInterface> restored = [.. interfaces.Select(owner => new PodInterface(owner.Link, owner.Generation, owner.SeenAt))];
        Source.Resume(restored);
        return restored;
    }

    /// <summary>Some milliseconds into a second: the API server's times are whole ones.</summary>
    internal static DateTimeOffset Start { get; } = new(2026, 11, 25, 12, 0, 0, 250, TimeSpan.Zero);

    internal static DateTimeOffset BootedAt { get; } = Start - TimeSpan.FromMinutes(10);

    internal FakeTimeProvider Time { get; } = new(Start);

    internal ExporterOptions Options { get; }

    internal PodStore Store { get; }

    internal KubernetesPodSource Source { get; }

    internal DateTimeOffset Now => Time.GetUtcNow();

    internal Task<ScrapedText> ScrapeAsync() => ScrapedText.OfAsync(_registry);

    internal void Pass(double seconds) => Time.Advance(TimeSpan.FromSeconds(seconds));

    /// <summary>The API server is heard of, as by a bookmark.</summary>
    internal void Hear() => Store.SetCurrent(true);

    /// <summary>An interface appears, and the addresses in its namespace are known.</summary>
    internal PodInterface Appear(params string[] addresses) => Appear(sibling: null, addresses);

    /// <summary>As well, and another leads to the same namespace.</summary>
    internal PodInterface Appear(PodInterface? sibling, params string[] addresses)
    {
        var ifindex = (int)++_generation;
        return new(new(ifindex, $"veth{ifindex}", "veth", 0, 0, ifindex), _generation, Now)
        {
            Sibling = sibling,
            Addresses = [.. addresses.Select(IPAddress.Parse)],
            AddressedAt = addresses.Length > 0 ? Now : null,
            AddressedStamp = addresses.Length > 0 ? Time.GetTimestamp() : 0,
            BornAfter = Now,
        };
    }

    /// <summary>A look finds these addresses in an interface's namespace.</summary>
    internal void SetAddresses(PodInterface owner, IReadOnlyList<IPAddress> addresses)
    {
        if (owner.AddressedAt is null && addresses.Count > 0)
        {
            (owner.AddressedAt, owner.AddressedStamp) = (Now, Time.GetTimestamp());
        }
        owner.WithoutAddressesAt = owner.AddressedAt is null ? Now : owner.WithoutAddressesAt;
        owner.Addresses = addresses;
    }

    /// <summary>An interface that was there before the exporter.</summary>
    internal PodInterface Find(params string[] addresses)
    {
        var ifindex = (int)++_generation;
        return new(new(ifindex, $"veth{ifindex}", "veth", 0, 0, ifindex), _generation, Now) { Addresses = [.. addresses.Select(IPAddress.Parse)], AddressedAt = addresses.Length > 0 ? Now : null };
    }

    /// <summary>An interface is found to be gone.</summary>
    internal void Leave(params PodInterface[] owners)
    {
        foreach (var owner in owners)
        {
            owner.GoneAt = Now;
        }
    }

    /// <summary>An interface is gone, and what it carried is not waited for any more.</summary>
    internal void LeaveAndForget(PodInterface owner)
    {
        Identify(owner);
        Leave(owner);
        Source.Forget(owner);
    }

    /// <summary>A round of the reconciler that asks for one interface.</summary>
    /// <returns>The pod's name; null if the interface is nobody's.</returns>
    internal string? Identify(PodInterface owner)
    {
        Source.TakeChanges();
        var pod = Source.Identify(owner);
        if (pod is not null || Source.IsWrong(owner))
        {
            owner.Pod = pod;
        }
        return owner.Pod?.Name;
    }

    /// <summary>The API server tells that a pod is new or has changed.</summary>
    internal void Tell(ToldPod pod) => Store.Set(pod.Document);

    internal void TellDeleted(ToldPod pod) => Store.Remove(pod.Document);

    /// <summary>The first list, from the API server's cache.</summary>
    internal void ListFirst(params ToldPod[] pods) => Store.Reset([.. pods.Select(pod => pod.Document)], Now, isCached: true);

    /// <summary>A list that was asked for because of an interface, beside the watch.</summary>
    internal void Answer(DateTimeOffset askedAt, params ToldPod[] pods) => Store.Await([.. pods.Select(pod => pod.Document)], askedAt);

    /// <summary>A list after events were missed.</summary>
    internal void List(DateTimeOffset askedAt, params ToldPod[] pods) => Store.Reset([.. pods.Select(pod => pod.Document)], askedAt);

    /// <summary>A running pod that the node takes up now.</summary>
    internal ToldPod NewPod(string name, params string[] addresses) => new(name) { StartTime = ToldPod.Told(Now), Addresses = addresses };
}

/// <summary>What the API server tells of a pod.</summary>
internal sealed record ToldPod(string Name)
{
    internal string Namespace { get; init; } = "shop";

    internal string? Uid { get; init; }

    internal string Phase { get; init; } = "Running";

    internal DateTimeOffset? StartTime { get; init; }

    internal IReadOnlyList<string?> Addresses { get; init; } = [];

    internal IReadOnlyList<DateTimeOffset?> FinishedAt { get; init; } = [];

    /// <summary>Of containers that run.</summary>
    internal IReadOnlyList<DateTimeOffset?> StartedAt { get; init; } = [];

    /// <summary>When containers that have ended were started.</summary>
    internal DateTimeOffset? Began { get; init; }

    /// <summary>When its sandbox became ready, as a condition says.</summary>
    internal DateTimeOffset? ReadyAt { get; init; }

    internal DateTimeOffset? DeletedAt { get; init; }

    internal bool HostNetwork { get; init; }

    /// <summary>Of a static pod: its own uid.</summary>
    internal string? StaticUid { get; init; }

    internal IReadOnlyDictionary<string, string> Labels { get; init; } = new Dictionary<string, string>();

    internal IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    /// <summary>Another one for each state.</summary>
    internal string Version => GetHashCode().ToString(CultureInfo.InvariantCulture);

    internal PodDocument Document => new()
    {
        Metadata = new()
        {
            Uid = Uid ?? $"uid-of-{Name}",
            Namespace = Namespace,
            Name = Name,
            ResourceVersion = Version,
            DeletionTimestamp = DeletedAt,
            Labels = Labels,
            Annotations = StaticUid is null
                ? Annotations
                : new Dictionary<string, string>(Annotations) { ["kubernetes.io/config.hash"] = StaticUid, ["kubernetes.io/config.mirror"] = StaticUid },
        },
        Spec = new() { HostNetwork = HostNetwork },
        Status = new()
        {
            Phase = Phase,
            StartTime = StartTime,
            PodIP = Addresses.Count == 0 ? null : Addresses[0],
            PodIPs = [.. Addresses.Select(address => new PodAddress { Ip = address })],
            Conditions = ReadyAt is null ? [] : [new() { Type = "PodReadyToStartContainers", Status = "True", LastTransitionTime = ReadyAt }],
            ContainerStatuses = [.. StartedAt.Select(at => new ContainerStatus { State = new() { Running = new() { StartedAt = at } } }), .. FinishedAt.Select(at => new ContainerStatus { State = new() { Terminated = at is null ? null : new() { StartedAt = Began, FinishedAt = at } } })],
        },
    };

    /// <summary>A time as it is told.</summary>
    internal static DateTimeOffset Told(DateTimeOffset time) => new(time.Ticks - (time.Ticks % TimeSpan.TicksPerSecond), TimeSpan.Zero);

    internal ToldPod Over(DateTimeOffset? finishedAt, string phase = "Succeeded") =>
        this with { Phase = phase, Began = StartedAt is [{ } began, ..] ? began : StartTime, StartedAt = [], ReadyAt = null, FinishedAt = finishedAt is { } at ? [Told(at)] : [] };

    /// <summary>Its containers run since then.</summary>
    internal ToldPod Running(DateTimeOffset since) => this with { StartedAt = [Told(since)] };
}
