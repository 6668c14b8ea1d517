using System.Globalization;
using Exporter.Verification;
using static Exporter.Verification.RecordField;

namespace Exporter.Commands;

/// <summary>Records as lines of fixed columns, 119 characters wide. Bytes are as the pod sees them, ports the initiator's destination, times in UTC.</summary>
internal static class FlowsTable
{
    private const string Unknown = "-";

    internal static string Header { get; } = Row("TIME", "NAMESPACE/POD", "DIR", "PEER", "PORT", "PROTO", "STATE", "TX-BYTES", "RX-BYTES", "RTT");

    /// <param name="record">A flow or rest record.</param>
    internal static string Row(RecordReader record)
    {
        var isSource = record.IsPodSource;
        var counts = record.PodCounts;
        var space = record.Text(isSource ? SourceNamespace : DestinationNamespace);
        var pod = record.Text(isSource ? SourcePod : DestinationPod) ?? record.Text(isSource ? SourceWorkload : DestinationWorkload);
        return Row(
            new DateTime((long)record.Required(Timestamp), DateTimeKind.Utc).ToString("HH:mm:ss", CultureInfo.InvariantCulture),
            pod is null ? record.Text(InterfaceName)! : $"{space ?? Unknown}/{pod}",
            isSource ? "out" : "in",
            record.Dataset == Dataset.Rest ? $"(rest: {record.Text(RestReason)})" : FlowsPeer.Of(record).Best ?? Unknown,
            record.Count(DestinationPort)?.ToString(CultureInfo.InvariantCulture) ?? Unknown,
            ProtocolOf(record),
            record.Text(FlowState) ?? Unknown,
            Bytes(counts.TransmitBytes),
            Bytes(counts.ReceiveBytes),
            record.Count(SmoothedRtt) is { } rtt ? Duration(rtt) : Unknown);
    }

    private static string Row(
        string time, string pod, string direction, string peer, string port, string protocol, string state, string transmit, string receive, string rtt) =>
        $"{Fit(time, 8)} {Fit(pod, 26)} {Fit(direction, 3)} {Fit(peer, 26)} {port,5} {Fit(protocol, 5)} {Fit(state, 10)} {transmit,10} {receive,10} {rtt,7}".TrimEnd();

    private static string ProtocolOf(RecordReader record) => record.Text(Transport) switch
    {
        "ipv6-icmp" => "icmp6",
        { } name => name,
        null => record.Count(ProtocolNumber)?.ToString(CultureInfo.InvariantCulture) ?? Unknown,
    };

    /// <summary>Exact while it has ten digits, then in thousands, millions and so forth.</summary>
    private static string Bytes(UInt128 bytes)
    {
        const int Most = 10;
        var text = bytes.ToString(CultureInfo.InvariantCulture);
        for (var i = 0; text.Length > Most && i < "kMGTPE".Length; i++)
        {
            bytes /= 1000;
            text = bytes.ToString(CultureInfo.InvariantCulture) + "kMGTPE"[i];
        }
        return text;
    }

    private static string Duration(ulong nanoseconds) => nanoseconds switch
    {
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e3:0}us"),
        < 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e6:0.0}ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{nanoseconds / 1e9:0.0}s"),
    };

    /// <summary>Cuts out of the middle: names of pods differ at their ends. A terminal takes control characters as commands, so they are replaced.</summary>
    private static string Fit(string text, int width)
    {
        if (text.Any(char.IsControl))
        {
            text = string.Concat(text.Select(letter => char.IsControl(letter) ? '?' : letter));
        }
        var half = width / 2;
        return text.Length <= width ? text.PadRight(width) : $"{text[..(width - half - 1)]}~{text[^half..]}";
    }
}
