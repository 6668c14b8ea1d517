using System.Runtime.InteropServices;
using static Exporter.Bpf.Netlink.Rtnetlink;

namespace Exporter.Bpf.Netlink;

/// <summary>A next-hop object (linux/nexthop.h): an interface, a group of other objects, or a black hole, which is neither.</summary>
/// <param name="Ifindex">NHA_OIF, or 0.</param>
/// <param name="Members">NHA_GROUP: the ids of the objects, which are not groups themselves (net/ipv4/nexthop.c, valid_group_nh).</param>
internal sealed record NextHop(int Ifindex, IReadOnlyList<int> Members)
{
    /// <summary>sizeof(struct nexthop_grp): the id, and four bytes of weight.</summary>
    private const int MemberLength = 8;

    internal static NextHop Parse(in NetlinkMessage message)
    {
        var ifindex = 0;
        var members = new List<int>();
        var attributes = message.Attributes<NhMessage>();
        while (attributes.TryRead(out var attribute))
        {
            switch (attribute.Type)
            {
                case NHA_OIF:
                    ifindex = attribute.Int32 ?? 0;
                    break;
                case NHA_GROUP:
                    for (var rest = attribute.Value; rest.Length >= MemberLength; rest = rest[MemberLength..])
                    {
                        members.Add(MemoryMarshal.Read<int>(rest));
                    }
                    break;
            }
        }
        return new(ifindex, members);
    }
}

/// <summary>struct nhmsg.</summary>
internal readonly record struct NhMessage(byte Family, byte Scope, byte Protocol, byte Reserved, uint Flags);
