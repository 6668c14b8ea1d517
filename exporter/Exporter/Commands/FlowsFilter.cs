using System.IO.Enumeration;
using System.Net;
using Exporter.Verification;
using static Exporter.Verification.RecordField;

namespace Exporter.Commands;

/// <summary>Which flow and rest records are printed. Null: that part of a record does not matter.</summary>
/// <param name="Namespace">Of the pod whose interface was counted.</param>
/// <param name="Pod">A name with * and ? of that pod.</param>
/// <param name="Peer">A part of the other end's namespace, pod, workload, Service, class or address.</param>
/// <param name="Port">A port of either end.</param>
/// <param name="Host">Addresses, one of which is an end's.</param>
internal sealed record FlowsFilter(string? Namespace, string? Pod, string? Peer, int? Port, IPNetwork? Host)
{
    /// <summary>Whether any record fits, also those about no pod.</summary>
    internal bool IsOpen => this is { Namespace: null, Pod: null, Peer: null, Port: null, Host: null };

    internal bool Fits(RecordReader record)
    {
        if (record.Dataset is not (Dataset.Flow or Dataset.Rest))
        {
            return IsOpen;
        }
        var isSource = record.IsPodSource;
        return (Namespace is null || Namespace == record.Text(isSource ? SourceNamespace : DestinationNamespace))
            && (Pod is null || (record.Text(isSource ? SourcePod : DestinationPod) is { } pod && FileSystemName.MatchesSimpleExpression(Pod, pod, ignoreCase: false)))
            && (Peer is null || FlowsPeer.Of(record).Names.Any(name => name.Contains(Peer, StringComparison.OrdinalIgnoreCase)))
            && (Port is not { } port || HasPort(record, (ulong)port))
            && (Host is not { } host || HasAddress(record, host));
    }

    /// <exception cref="FormatException">The text is neither an address nor a range of addresses.</exception>
    internal static IPNetwork? ParseHost(string text)
    {
        if (IPNetwork.TryParse(text, out var network))
        {
            return network;
        }
        return IPAddress.TryParse(text, out var address)
            ? new IPNetwork(address, address.GetAddressBytes().Length * 8)
            : throw new FormatException("is neither an address nor a range like 10.0.0.0/8");
    }

    private static bool HasPort(RecordReader record, ulong port) =>
        record.Count(SourcePort) == port || record.Count(DestinationPort) == port || record.Count(SourceNatPort) == port || record.Count(DestinationNatPort) == port;

    private static bool HasAddress(RecordReader record, IPNetwork host) =>
        ((RecordField[])[SourceIp, DestinationIp, SourceNatIp, DestinationNatIp]).Any(field => IPAddress.TryParse(record.Text(field), out var address) && host.Contains(address));
}
