using System.Buffers.Binary;
using static Exporter.Bpf.Netlink.Nfnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>The source of a connection's replies, read off conntrack's answer: the backend behind a Service's address. Used for one answer after the other.</summary>
internal sealed class ConntrackAnswer
{
    private const int LongestAddress = 16;

    private readonly byte[] _address = new byte[LongestAddress];
    private int _length;
    private bool _hasAddress;
    private bool _hasPort;

    internal ReadOnlySpan<byte> Address => _address.AsSpan(0, _length);

    /// <summary>In the order of the machine.</summary>
    internal ushort Port { get; private set; }

    internal bool IsComplete => _hasAddress && _hasPort;

    /// <summary>Forgets the previous answer.</summary>
    /// <param name="length">How many bytes an address has: as many as in the question.</param>
    internal void Begin(int length) => (_length, Port, _hasAddress, _hasPort) = (length, 0, false, false);

    internal void Read(in NetlinkMessage message)
    {
        if (message.Type != Conntrack(IPCTNL_MSG_CT_NEW))
        {
            return;
        }
        var attributes = message.Attributes<NfGenMessage>();
        while (attributes.TryRead(out var attribute))
        {
            if (attribute.Type == CTA_TUPLE_REPLY)
            {
                ReadTuple(attribute.Nested);
            }
        }
    }

    private void ReadTuple(NetlinkAttributes tuple)
    {
        while (tuple.TryRead(out var part))
        {
            var values = part.Nested;
            while (part.Type is CTA_TUPLE_IP or CTA_TUPLE_PROTO && values.TryRead(out var value))
            {
                switch (part.Type, value.Type)
                {
                    case (CTA_TUPLE_IP, CTA_IP_V4_SRC or CTA_IP_V6_SRC) when value.Value.Length == _length:
                        value.Value.CopyTo(_address);
                        _hasAddress = true;
                        break;
                    case (CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT) when value.Value.Length == sizeof(ushort):
                        Port = BinaryPrimitives.ReadUInt16BigEndian(value.Value);
                        _hasPort = true;
                        break;
                }
            }
        }
    }
}
