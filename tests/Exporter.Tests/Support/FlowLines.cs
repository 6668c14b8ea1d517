using System.Globalization;

namespace Exporter.Tests.Support;

/// <summary>Lines of records as an exporter writes them: whole intervals of one node and epoch, a flow record for each count and rest records behind them.</summary>
internal sealed class FlowLines(string node = "node-0", string epoch = "k3", long first = 31)
{
    private long _interval = first;
    private long _issued;

    /// <summary>The records that the exporter says were lost.</summary>
    internal long Lost { get; set; }

    /// <summary>All lines so far. A test may add, remove and change lines.</summary>
    internal List<string> Lines { get; } = [];

    internal string Text => string.Concat(Lines.Select(line => line + "\n"));

    /// <summary>Adds an interval with these records and its closing record.</summary>
    internal FlowLines Interval(params FlowCounts[] records)
    {
        var sequence = 0;
        foreach (var record in records)
        {
            Lines.Add(record.Reason is null ? Flow(record, sequence) : Rest(record, sequence));
            sequence++;
        }
        _issued += sequence;
        Lines.Add(Closing(sequence));
        _interval++;
        return this;
    }

    /// <summary>Leaves numbers of intervals out.</summary>
    internal FlowLines Skip(int intervals)
    {
        _interval += intervals;
        return this;
    }

    internal FlowLines Identity(string address, string pod)
    {
        Lines.Add($$$"""{"@timestamp":"2026-11-28T10:05:00.000Z","event":{"id":"{{{epoch}}}-{{{address}}}","dataset":"podnet.identity"},"identity":{"ip":"{{{address}}}","from":"2026-11-28T09:12:40.000Z"},"k8s":{"namespace":{"name":"shop"},"pod":{"name":"{{{pod}}}","uid":"u"},"workload":{"name":"web","kind":"Deployment"},"node":{"name":"{{{node}}}"},"cluster":{"name":"prod"}},"podnet":{"schema":1}}""");
        return this;
    }

    private string Time => new DateTime(2026, 11, 28, 10, 0, 0, DateTimeKind.Utc).AddSeconds(10 * _interval).ToString("yyyy-MM-dd'T'HH:mm:ss.137'Z'", CultureInfo.InvariantCulture);

    private string Flow(FlowCounts record, int sequence)
    {
        var pod = $$$"""{"namespace":{"name":"shop"},"pod":{"name":"{{{record.Pod}}}"},"workload":{"name":"web","kind":"Deployment"}}""";
        var peer = """{"namespace":{"name":"data"},"service":{"name":"db"}}""";
        var local = $$$"""{"ip":"10.0.0.14","port":45717,"bytes":{{{record.Transmit}}},"packets":{{{record.TransmitPackets}}},"segments":1,"k8s":{{{pod}}}}""";
        var remote = $$$"""{"ip":"10.96.0.5","port":5432,"bytes":{{{record.Receive}}},"packets":{{{record.ReceivePackets}}},"segments":1,"class":"service","nat":{"ip":"10.3.0.19","port":5432},"k8s":{{{peer}}}}""";
        var (source, destination) = record.IsSource ? (local, remote) : (remote, local);
        return $$$"""{"@timestamp":"{{{Time}}}","event":{"id":"{{{epoch}}}-{{{_interval}}}-{{{sequence}}}","dataset":"podnet.flow","start":"2026-11-28T10:05:03.120Z","end":"2026-11-28T10:05:09.870Z","duration":6750000000},"network":{"type":"ipv4","transport":"tcp","iana_number":6,"community_id":"1:x"},"source":{{{source}}},"destination":{{{destination}}},"tcp":{"flags":{"source":["SYN","ACK","PSH"],"destination":["SYN","ACK","PSH"]},"syn":{"count":1},"rst":{"count":0},"rtt":{"smoothed":880500,"min":704000},"retransmits":0},"flow":{"observer":"{{{(record.IsSource ? "source" : "destination")}}}","orientation":"syn","state":"open","connections":1,"start":"2026-11-28T10:05:03.120Z"},"observer":{"epoch":"{{{epoch}}}","interval":{{{_interval}}},"sequence":{{{sequence}}},"interface":{"name":"veth-{{{record.Pod}}}","id":"{{{epoch}}}-{{{record.Pod}}}"}},"k8s":{"node":{"name":"{{{node}}}"},"cluster":{"name":"prod"}},"podnet":{"schema":1}}""";
    }

    private string Rest(FlowCounts record, int sequence)
    {
        var (direction, end, bytes, packets) = record.IsSource ? ("transmit", "source", record.Transmit, record.TransmitPackets) : ("receive", "destination", record.Receive, record.ReceivePackets);
        return $$$$"""{"@timestamp":"{{{{Time}}}}","event":{"id":"{{{{epoch}}}}-{{{{_interval}}}}-{{{{sequence}}}}","dataset":"podnet.rest","start":"2026-11-28T10:05:00.137Z","end":"2026-11-28T10:05:10.137Z"},"rest":{"reason":"{{{{record.Reason}}}}","direction":"{{{{direction}}}}","bytes":{{{{bytes}}}},"packets":{{{{packets}}}}},"{{{{end}}}}":{"k8s":{"namespace":{"name":"shop"},"pod":{"name":"{{{{record.Pod}}}}"},"workload":{"name":"web","kind":"Deployment"}}},"observer":{"epoch":"{{{{epoch}}}}","interval":{{{{_interval}}}},"sequence":{{{{sequence}}}},"interface":{"name":"veth-{{{{record.Pod}}}}","id":"{{{{epoch}}}}-{{{{record.Pod}}}}"}},"k8s":{"node":{"name":"{{{{node}}}}"},"cluster":{"name":"prod"}},"podnet":{"schema":1}}""";
    }

    private string Closing(int records) =>
        $$$"""{"@timestamp":"{{{Time}}}","event":{"id":"{{{epoch}}}-{{{_interval}}}-file","dataset":"podnet.interval","start":"2026-11-28T10:05:00.137Z","end":"2026-11-28T10:05:10.137Z"},"interval":{"records":{{{records}}},"bytes":31200,"issued":{{{_issued}}},"acknowledged":{{{Math.Max(0, _issued - records - Lost)}}},"lost":{{{Lost}}}},"observer":{"epoch":"{{{epoch}}}","interval":{{{_interval}}},"sequence":{{{records}}}},"k8s":{"node":{"name":"{{{node}}}"},"cluster":{"name":"prod"}},"podnet":{"schema":1}}""";

    /// <param name="Transmit">Bytes that the pod sent.</param>
    /// <param name="IsSource">Whether the pod began the flow; of a rest record, whether the pod sent the packets.</param>
    /// <param name="Reason">Null: a flow record.</param>
    internal sealed record FlowCounts(long Transmit, long Receive, string Pod = "web-0", bool IsSource = true, string? Reason = null)
    {
        internal long TransmitPackets => (Transmit + 99) / 100;

        internal long ReceivePackets => (Receive + 99) / 100;
    }
}
