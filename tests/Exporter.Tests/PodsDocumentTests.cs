using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;
using Exporter.Pods;
using Exporter.Server;
using Exporter.Tests.Support;
using static Exporter.Tests.Support.JoiningNode;

namespace Exporter.Tests;

/// <summary>/api/v1/pods, and the page that shows the same.</summary>
public sealed partial class PodsDocumentTests
{
    private readonly JoiningNode _node = new(("Metrics:PodLabels", "pod;label:tier"), ("Metrics:ExcludedNamespaces", "kube-system"));
    private readonly PodTable _table = new();

    [Fact]
    public void Everything_that_is_known_is_told()
    {
        var pod = _node.NewPod("web", Address, "fd00::1") with { Labels = new Dictionary<string, string> { ["tier"] = "front" } };
        _node.Tell(pod);
        var owner = Publish(_node.Appear(Address, "fd00::1"), InterfaceState.Attached);
        owner.Totals.Add((1, 20), (4, 500));
        owner.Totals.Add((1, 20), (4, 500));
        _node.Pass(60);

        Assert.Equal(
            """{"source":"kubernetes","hook":"none","time":"2026-11-25T12:01:00.25+00:00","pods":["""
            + """{"namespace":"shop","pod":"web","labels":{"pod":"web","label_tier":"front"},"excluded":"""
            + """false,"folded":[],"phase":"Running","hostNetwork":false,"addresses":["10.0.0.1","fd00::1"],"interfaces":["""
            + """{"name":"veth1","ifindex":1,"state":"attached","since":"2026-11-25T12:00:00.25+00:00","addresses":["10.0.0.1","fd00::1"],"transmit":"""
            + """{"packets":2,"bytes":40},"receive":{"packets":8,"bytes":1000}}]}],"unknown":[]}""",
            JsonSerializer.Serialize(Create(), PodsDocumentContext.Default.PodsDocument));
    }

    [Fact]
    public void A_pod_without_an_interface_is_there_as_well()
    {
        _node.Tell(_node.NewPod("web") with { Phase = "Pending" });

        var pod = Assert.Single(Create().Pods);
        Assert.Equal(("web", "Pending"), (pod.Pod, pod.Phase));
        Assert.Empty(pod.Interfaces);
        Assert.Empty(pod.Addresses!);
    }

    [Fact]
    public void A_pod_that_the_API_server_knows_no_more_is_there_while_its_interface_is()
    {
        var pod = _node.NewPod("web", Address);
        _node.Tell(pod);
        var owner = Publish(_node.Appear(Address));
        _node.TellDeleted(pod);
        _node.Leave(owner);

        var entry = Assert.Single(Create().Pods);
        Assert.Equal("gone", Assert.Single(entry.Interfaces).State);
        var json = JsonDocument.Parse(JsonSerializer.Serialize(Create(), PodsDocumentContext.Default.PodsDocument)).RootElement.GetProperty("pods")[0];
        Assert.Equal(["namespace", "pod", "labels", "excluded", "folded", "hostNetwork", "interfaces"], json.EnumerateObject().Select(property => property.Name));
    }

    [Fact]
    public void Interfaces_whose_pod_is_not_known_are_apart_oldest_first()
    {
        _node.Tell(_node.NewPod("web", Address));
        Publish(_node.Appear(OtherAddress), InterfaceState.Shadowed);
        Publish(_node.Appear(Address));
        Publish(_node.Appear(), InterfaceState.Failed);

        var document = Create();

        Assert.Equal([("veth1", "shadowed"), ("veth3", "failed")], document.Unknown.Select(found => (found.Name, found.State)));
        Assert.Equal("veth2", Assert.Single(Assert.Single(document.Pods).Interfaces).Name);
        Assert.Equal("pending", document.Pods[0].Interfaces[0].State);
    }

    [Fact]
    public void Pods_that_are_left_out_or_in_the_hosts_network_are_marked()
    {
        _node.Tell(_node.NewPod("proxy") with { Namespace = "kube-system", HostNetwork = true, Addresses = [Address] });
        _node.Tell(_node.NewPod("web"));

        Assert.Equal([("proxy", true, true), ("web", false, false)], Create().Pods.Select(pod => (pod.Pod, pod.Excluded, pod.HostNetwork)));
    }

    [Fact]
    public void Pods_are_in_the_order_of_namespaces_and_names_and_their_interfaces_oldest_first()
    {
        _node.Tell(_node.NewPod("c", Address) with { Namespace = "b" });
        _node.Tell(_node.NewPod("b") with { Namespace = "c" });
        _node.Tell(_node.NewPod("a") with { Namespace = "c" });
        _node.Tell(_node.NewPod("z") with { Namespace = "a" });
        var first = _node.Appear(Address);
        var second = _node.Appear(first, Address);
        Publish(second);
        Publish(first);

        var pods = Create().Pods;

        Assert.Equal(["a/z", "b/c", "c/a", "c/b"], pods.Select(pod => $"{pod.Namespace}/{pod.Pod}"));
        Assert.Equal(["veth1", "veth2"], pods[1].Interfaces.Select(found => found.Name));
    }

    /// <summary>The page is for anybody who reaches the port.</summary>
    [Fact]
    public void Nothing_else_of_a_pod_is_told()
    {
        _node.Tell(_node.NewPod("web", Address) with
        {
            Uid = "secret-uid",
            Labels = new Dictionary<string, string> { ["tier"] = "front", ["token"] = "secret-label" },
            Annotations = new Dictionary<string, string> { ["token"] = "secret-annotation" },
        });
        Publish(_node.Appear(Address));

        Assert.DoesNotContain("secret", JsonSerializer.Serialize(Create(), PodsDocumentContext.Default.PodsDocument), StringComparison.Ordinal);
        Assert.DoesNotContain("secret", LandingPage.Write(Create()), StringComparison.Ordinal);
    }

    [Fact]
    public void The_page_writes_names_as_text()
    {
        const string Hostile = "<script>alert(\"1\")</script>&'";
        var found = new InterfaceEntry(Hostile, 1, Hostile, Start, [Hostile], new(1, 2), new(3, 4));
        var document = new PodsDocument(Hostile, Hostile, Start, [new() { Namespace = Hostile, Pod = Hostile, Labels = new Dictionary<string, string>(), Folded = [Hostile], Interfaces = [found] }], [found]);

        var page = LandingPage.Write(document);

        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.DoesNotContain("\"1\"", page, StringComparison.Ordinal);
        // Namespace, pod, a folded block, an interface and its state and address, those once more, the source and the hook.
        Assert.Equal(11, Encoded().Count(page));
        Assert.Equal(11, page.Split(WebUtility.HtmlEncode(Hostile)).Length - 1);
    }

    [Fact]
    public void The_page_has_a_row_for_each_pod_and_for_each_interface_that_is_nobodys()
    {
        _node.Tell(_node.NewPod("web", Address));
        var first = _node.Appear(Address, "fd00::1");
        Publish(first, InterfaceState.Attached).Totals.Add((1, 1_000_000), (1, 5));
        _node.Pass(60);
        Publish(_node.Appear(first, Address, "fd00::1"), InterfaceState.Failed).Totals.Add((1, 234), (1, 6));
        _node.Tell(_node.NewPod("proxy") with { HostNetwork = true });
        _node.Tell(_node.NewPod("idle"));
        _node.Tell(_node.NewPod("hidden") with { Namespace = "kube-system" });
        Publish(_node.Appear(OtherAddress), InterfaceState.Attached);

        Assert.Equal(
            [
                "kube-system|hidden||||||excluded",
                "shop|idle||||||no interface",
                "shop|proxy||||||in the host&#39;s network",
                "shop|web|veth1, veth2 (failed)|10.0.0.1, fd00::1|1,000,234 bytes|11 bytes|2026-11-25 12:00:00Z|",
                "||veth3|10.0.0.2|0 bytes|0 bytes|2026-11-25 12:01:00Z|not known yet",
            ],
            Rows().Matches(LandingPage.Write(Create())).Select(row => string.Join('|', Cells().Matches(row.Value).Select(cell => cell.Groups[1].Value))));
    }

    /// <summary>A reverse proxy may serve the page below a path of its own.</summary>
    [Fact]
    public void The_page_links_what_is_served_relative_to_itself()
    {
        var links = Links().Matches(LandingPage.Write(Create())).Select(link => link.Groups[1].Value);

        Assert.Equal(["metrics", "api/v1/pods", "api/v1/uplinks", "api/v1/bpf", "healthz", "readyz"], links);
    }

    [GeneratedRegex("(?:href|src|action)=\"([^\"]*)\"")]
    private static partial Regex Links();

    [GeneratedRegex("&lt;script&gt;alert\\(&quot;1&quot;\\)&lt;/script&gt;&amp;&#39;")]
    private static partial Regex Encoded();

    [GeneratedRegex("<tr><td.*</tr>")]
    private static partial Regex Rows();

    [GeneratedRegex("<td[^>]*>(.*?)</td>")]
    private static partial Regex Cells();

    private PodsDocument Create() => PodsDocument.Create(_node.Source, _table, _node.Options.CreateLabels(), new NoHook(), _node.Time);

    /// <summary>What the reconciler does with an interface.</summary>
    private PodInterface Publish(PodInterface owner, InterfaceState state = InterfaceState.Pending)
    {
        owner.Pod = _node.Source.Identify(owner);
        owner.State = state;
        _table.Current = _table.Current.SetItem(owner.Ifindex, owner);
        return owner;
    }

    private sealed class NoHook : TcAttacher
    {
        public override string Name => "none";

        public override TcAttachment? TryAttach(int ifindex, TcDirection direction) => null;

        public override IEnumerable<TcAttachment> Adopt(ICollection<Exception> problems) => [];

        public override int RemoveStrays() => 0;

        public override bool IsAttached(int ifindex, TcDirection direction) => false;
    }
}
