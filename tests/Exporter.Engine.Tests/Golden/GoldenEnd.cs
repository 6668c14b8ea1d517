using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>One end of a conversation: a pod, or an address of a class.</summary>
/// <param name="Address">None where the conversation stands for many with different ones.</param>
internal sealed record GoldenEnd(FlowAddress Address, GoldenPod? Pod, string Class)
{
    private readonly RecordEnd _names = new() { Class = Class };

    public static implicit operator GoldenEnd(GoldenPod pod) => new(pod.Address, pod, "pods");

    internal static GoldenEnd Outside(string address, string @class = "internet") => new(FlowAddress.Parse(address), null, @class);

    internal static GoldenEnd Many(string @class) => new(default, null, @class);

    /// <summary>The names that a node's records have for it: the pod's on its own node, else the class.</summary>
    internal RecordEnd NamesOn(int node) => Pod is { } pod && pod.Node == node ? pod.Names : _names;
}
