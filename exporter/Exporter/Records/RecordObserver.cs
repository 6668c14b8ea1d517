using System.Buffers.Binary;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;

namespace Exporter.Records;

/// <summary>The part of records that all of a node's have in common while its ledger lives.</summary>
/// <param name="epoch">The ledger's epoch, 16 random bytes.</param>
/// <param name="node">The node's name.</param>
/// <param name="cluster">The cluster's name; empty: not known.</param>
internal sealed class RecordObserver(ReadOnlySpan<byte> epoch, string node, string cluster)
{
    internal const int EpochLength = 16;

    internal UInt128 Epoch { get; } = epoch.Length == EpochLength
        ? BinaryPrimitives.ReadUInt128BigEndian(epoch)
        : throw new ArgumentException($"An epoch has {EpochLength} bytes, this one {epoch.Length}", nameof(epoch));

    /// <summary>A secret of the ledger that ids are made with where addresses are hidden; empty: ids have no secret.</summary>
    internal ReadOnlyMemory<byte> Salt { get; init; }

    /// <summary>base64url without padding.</summary>
    internal JsonEncodedText EpochText { get; } = JsonEncodedText.Encode(Encoding.ASCII.GetBytes(Base64Url.EncodeToString(epoch)));

    internal JsonEncodedText NodeText { get; } = RecordText.Encode(node);

    internal JsonEncodedText ClusterText { get; } = RecordText.Encode(cluster);
}
