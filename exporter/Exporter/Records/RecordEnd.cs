using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;

namespace Exporter.Records;

/// <summary>
/// The names of one end of a flow. Made once for an owner and used by all its records: the texts are escaped and hashed once. Empty names are
/// not written.
/// </summary>
internal sealed class RecordEnd
{
    private readonly Lazy<UInt128> _digest;

    internal RecordEnd() => _digest = new(ComputeDigest);

    /// <summary>The namespace of the pod or of the Service.</summary>
    internal string Namespace
    {
        get;
        init
        {
            field = value;
            NamespaceText = RecordText.Encode(value);
        }
    } = "";

    internal string Pod
    {
        get;
        init
        {
            field = value;
            PodText = RecordText.Encode(value);
        }
    } = "";

    internal string Workload
    {
        get;
        init
        {
            field = value;
            WorkloadText = RecordText.Encode(value);
        }
    } = "";

    /// <summary>Deployment, StatefulSet, DaemonSet, CronJob and the like.</summary>
    internal string WorkloadKind
    {
        get;
        init
        {
            field = value;
            WorkloadKindText = RecordText.Encode(value);
        }
    } = "";

    /// <summary>The name of the Service that the address belongs to.</summary>
    internal string Service
    {
        get;
        init
        {
            field = value;
            ServiceText = RecordText.Encode(value);
        }
    } = "";

    /// <summary>Empty for a pod of the observer's node; else pods, node, service, metadata, private, multicast, internet or a class of the user's.</summary>
    internal string Class
    {
        get;
        init
        {
            field = value;
            ClassText = RecordText.Encode(value);
        }
    } = "";

    internal JsonEncodedText NamespaceText { get; private init; }

    internal JsonEncodedText PodText { get; private init; }

    internal JsonEncodedText WorkloadText { get; private init; }

    internal JsonEncodedText WorkloadKindText { get; private init; }

    internal JsonEncodedText ServiceText { get; private init; }

    internal JsonEncodedText ClassText { get; private init; }

    /// <summary>The XXH128 hash of all names, for the id of a record that is of named ends.</summary>
    internal UInt128 Digest => _digest.Value;

    private UInt128 ComputeDigest()
    {
        var names = new ArrayBufferWriter<byte>();
        foreach (var name in (ReadOnlySpan<string>)[Namespace, Pod, Workload, WorkloadKind, Service, Class])
        {
            BinaryPrimitives.WriteInt32BigEndian(names.GetSpan(sizeof(int)), Encoding.UTF8.GetByteCount(name));
            names.Advance(sizeof(int));
            _ = Encoding.UTF8.GetBytes(name, names);
        }
        return XxHash128.HashToUInt128(names.WrittenSpan);
    }
}
