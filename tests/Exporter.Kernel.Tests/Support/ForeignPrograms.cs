using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Netlink;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Somebody else's programs on an interface's ingress, each with a counter that shows whether it still runs.</summary>
internal sealed class ForeignPrograms : IDisposable
{
    private readonly BpfObject _object;
    private readonly TcClient _client = new();
    private readonly PerCpuArray<ulong> _packets;
    private readonly List<IDisposable> _links = [];

    internal ForeignPrograms()
    {
        using var stream = typeof(ForeignPrograms).Assembly.GetManifestResourceStream("foreign.bpf.o")!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        _object = BpfObject.Open("foreign", content);
        _object.Load();
        _packets = new(_object.Map("foreign_packets"));
    }

    /// <summary>How many packets they have seen so far.</summary>
    internal ulong Packets => _packets.Read(0);

    /// <summary>As a filter that lets the chain go on.</summary>
    internal void AddFilter(Pod pod, ushort priority)
    {
        Assert.Equal(0, _client.EnsureIngressQdisc(pod.Ifindex, out _));
        var program = _object.Program("foreign_next");
        Assert.Equal(0, _client.AddFilter(pod.Ifindex, TcDirection.Ingress, new(priority, 1, "foreign", 0), program.Fd, out _));
    }

    internal int CountFilters(Pod pod) => _client.GetFilters(pod.Ifindex, TcDirection.Ingress).Count(filter => filter.Name == "foreign");

    /// <summary>As a tcx link.</summary>
    /// <param name="atHead">Before whatever is there, instead of behind it.</param>
    /// <param name="endsChain">No program behind it runs.</param>
    internal IDisposable AddLink(Pod pod, bool atHead = false, bool endsChain = false)
    {
        var program = endsChain ? "foreign_stop" : atHead ? "foreign_head" : "foreign_next";
        var link = TcxAttacher.TryLink(_object.Program(program), pod.Ifindex, TcDirection.Ingress, atHead ? TcxAttacher.BPF_F_BEFORE : 0)!;
        _links.Add(link);
        return link;
    }

    public void Dispose()
    {
        _links.ForEach(link => link.Dispose());
        _object.Dispose();
        _client.Dispose();
    }
}
