using Exporter.Bpf.Netlink;
using Exporter.Interfaces;
using Exporter.Pods;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The next process finds an interface's pod as it was last shown.</summary>
public sealed class AttributionTests : IDisposable
{
    private static readonly PodIdentity Web = new("shop", "web-0", new("shop", "web-0")) { Workload = "web", WorkloadKind = "StatefulSet" };

    private readonly CountingNode _node = new();
    private readonly ChangingPods _pods = new(Web);
    private readonly Attachment _attachment;
    private readonly Attribution _attribution;

    public AttributionTests()
    {
        // It asks neither the kernel nor the programs.
        var context = new InterfaceContext(null!, _node.Table, _node.Pods, _pods, new([]), null!, null!, _node.Interfaces)
        {
            Time = _node.Time,
            Options = _node.Options.Attach,
            HoldFor = _node.Options.Identity.HoldFor,
        };
        var logger = new RecordingLogger<InterfaceReconciler>();
        _attribution = new(context, new(_node.Ledger, _node.Labels), new(logger), new(context.Rounds), logger);
        _attachment = new(new(new Link(7, "veth7", "veth", 1, 2, 0), 3, _node.Time.GetUtcNow()), _node.Time);
        _attribution.Identify(_attachment);
        _node.Commit();
    }

    public void Dispose() => _node.Dispose();

    public static TheoryData<string> Changes => ["annotation", "workload", "kind"];

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_pod_that_changes_while_it_runs_is_found_changed_after_a_restart(string change)
    {
        _pods.Pod = change switch
        {
            "annotation" => Web with { IsWithoutFlows = true },
            "workload" => Web with { Workload = "web-blue" },
            _ => Web with { WorkloadKind = "Deployment" },
        };

        _attribution.Identify(_attachment);

        var found = FindAfterRestart();
        Assert.Equal((_pods.Pod.IsWithoutFlows, _pods.Pod.Workload, _pods.Pod.WorkloadKind), (found?.IsWithoutFlows, found?.Workload, found?.WorkloadKind));
    }

    [Fact]
    public void An_annotation_that_is_taken_away_is_gone_after_a_restart()
    {
        _pods.Pod = Web with { IsWithoutFlows = true };
        _attribution.Identify(_attachment);
        _pods.Pod = Web;
        _attribution.Identify(_attachment);

        Assert.False(FindAfterRestart()?.IsWithoutFlows);
    }

    [Fact]
    public void A_pod_that_the_source_does_not_know_at_the_moment_is_found_as_it_was()
    {
        _pods.Pod = Web with { IsWithoutFlows = true };
        _attribution.Identify(_attachment);
        _pods.Pod = null;
        _attribution.Identify(_attachment);

        Assert.True(FindAfterRestart()?.IsWithoutFlows);
    }

    [Fact]
    public void The_account_stays_as_it_is()
    {
        var before = _attachment.Owner.Counts;
        _pods.Pod = Web with { IsWithoutFlows = true };

        _attribution.Identify(_attachment);

        Assert.NotNull(before);
        Assert.Same(before, _attachment.Owner.Counts);
    }

    private PodIdentity? FindAfterRestart()
    {
        _node.Commit();
        using var next = _node.StartAgain();
        return Assert.Single(new InterfaceRecords(next.Ledger, next.Labels).Restore()).Pod;
    }

    private sealed class ChangingPods(PodIdentity? pod) : IPodSource
    {
        internal PodIdentity? Pod { get; set; } = pod;

        public string Name => "changing";

        public void Refresh()
        {
        }

        public bool TakeChanges() => true;

        public PodIdentity? Identify(PodInterface owner) => Pod;

        public void Forget(PodInterface owner)
        {
        }

        public IEnumerable<KnownPod> GetKnownPods() => [];
    }
}
