using System.Globalization;
using System.Text.Json;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A record, as JSON has it.</summary>
internal sealed class FlowLine
{
    private readonly JsonElement _root;

    internal FlowLine(JsonElement root)
    {
        _root = root;
        var dataset = Text("event.dataset");
        (IsFlow, IsRest, IsInterval, IsIdentity) = (dataset == "podnet.flow", dataset == "podnet.rest", dataset == "podnet.interval", dataset == "podnet.identity");
        (Id, Epoch, Interval, Sequence) = (Text("event.id")!, Text("observer.epoch"), Number("observer.interval"), Number("observer.sequence"));
        (Interface, Timestamp) = (Text("observer.interface.name"), Time("@timestamp")!.Value);
    }

    internal bool IsFlow { get; }

    internal bool IsRest { get; }

    internal bool IsInterval { get; }

    internal bool IsIdentity { get; }

    internal string Id { get; }

    /// <summary>Whether a record with this id came before.</summary>
    internal bool IsRepeat { get; set; }

    internal string? Epoch { get; }

    internal long Interval { get; }

    internal long Sequence { get; }

    internal string? Interface { get; }

    internal DateTimeOffset Timestamp { get; }

    internal string? State => Text("flow.state");

    internal string? EndReason => Text("flow.end_reason");

    internal long Connections => Number("flow.connections");

    /// <summary>Whether the pod of the interface began.</summary>
    internal bool IsLocalSource => Text("flow.observer") == "source";

    /// <summary>What the interface has counted of it, from the pod's view.</summary>
    internal InterfaceCounters LocalCounts
    {
        get
        {
            if (IsRest)
            {
                var (packets, bytes) = (Count("rest.packets"), Count("rest.bytes"));
                return Text("rest.direction") == "transmit" ? new(packets, bytes, 0, 0, 0) : new(0, 0, packets, bytes, 0);
            }
            var (local, remote) = IsLocalSource ? ("source", "destination") : ("destination", "source");
            return new(Count($"{local}.packets"), Count($"{local}.bytes"), Count($"{remote}.packets"), Count($"{remote}.bytes"), 0);
        }
    }

    /// <summary>Source, destination and protocol.</summary>
    internal string Tuple => $"{Text("network.transport")} {Text("source.ip")} {Text("source.port")} > {Text("destination.ip")} {Text("destination.port")}";

    internal string? Text(string path) => Find(path) is not { } found ? null : found.ValueKind == JsonValueKind.String ? found.GetString() : found.GetRawText();

    /// <summary>0 where it is absent.</summary>
    internal long Number(string path) => Find(path)?.GetInt64() ?? 0;

    internal bool Has(string path) => Find(path) is not null;

    internal DateTimeOffset? Time(string path) => Text(path) is { } text ? DateTimeOffset.Parse(text, CultureInfo.InvariantCulture) : null;

    /// <summary>The words of a list, in its order.</summary>
    internal string Words(string path) => Find(path) is { } list ? string.Join(' ', list.EnumerateArray().Select(word => word.GetString())) : "";

    public override string ToString() => _root.GetRawText();

    private ulong Count(string path) => (ulong)Number(path);

    private JsonElement? Find(string path)
    {
        var at = _root;
        foreach (var name in path.Split('.'))
        {
            if (!at.TryGetProperty(name, out at))
            {
                return null;
            }
        }
        return at;
    }
}
