using Exporter.Bpf;
using Exporter.Bpf.Netlink;

namespace Exporter.Signals.Uplinks;

/// <summary>The slots: which interface is counted where, as the programs read it. Changed by one thread at a time; <see cref="All"/> is read by any.</summary>
/// <param name="map">Lives as long as the programs, so that the next process knows the interfaces.</param>
internal sealed class UplinkTable(ArrayMap<UplinkSlots> map)
{
    private Uplink[] _all = [];

    /// <summary>The interfaces that have a slot; another list whenever they change.</summary>
    internal IReadOnlyList<Uplink> All => Volatile.Read(ref _all);

    internal bool HasFree => _all.Length < UplinkSlots.Count;

    /// <summary>Knows the interfaces again that a previous process has counted, also those that are gone.</summary>
    /// <param name="links">All interfaces of the namespace.</param>
    internal void Restore(IReadOnlyList<NodeLink> links, DateTimeOffset now)
    {
        var slots = map.Read(0);
        var restored = new List<Uplink>();
        for (var slot = 0; slot < UplinkSlots.Count; slot++)
        {
            if (slots.Ifindex[slot] == 0)
            {
                continue;
            }
            var (ifindex, identity) = ((int)slots.Ifindex[slot], slots.Identity[slot]);
            var link = links.FirstOrDefault(link => link.Ifindex == ifindex && Uplink.IsSame(identity, link));
            restored.Add(link is not null
                ? new(slot, link, now) { ByXdp = slots.ByXdp[slot] != 0 }
                : new(slot, new(ifindex, identity.Text, "") { PermanentAddress = identity.PermanentAddress }, now) { LeftAt = 0 });
        }
        Volatile.Write(ref _all, [.. restored]);
    }

    /// <summary>Prepares a free slot for an interface, which <see cref="Add"/> then puts to use.</summary>
    internal Uplink Prepare(NodeLink link, DateTimeOffset now) =>
        new(Enumerable.Range(0, UplinkSlots.Count).First(slot => _all.All(uplink => uplink.Slot != slot)), link, now);

    /// <summary>Programs count the interface from now on. Another slot that it had counts no more.</summary>
    internal void Add(Uplink uplink)
    {
        Volatile.Write(ref _all, [.. _all, uplink]);
        Publish();
    }

    /// <summary>Programs do not count the interface any more; its slot keeps its counts until they are read.</summary>
    internal void Leave(Uplink uplink, long drains)
    {
        uplink.LeftAt = drains;
        Publish();
    }

    /// <summary>Frees the slot.</summary>
    internal void Remove(Uplink uplink)
    {
        Volatile.Write(ref _all, [.. _all.Where(other => other != uplink)]);
        Publish();
    }

    /// <summary>Writes the slots for the programs, and for the next process.</summary>
    internal void Publish()
    {
        UplinkSlots slots = default;
        foreach (var uplink in _all)
        {
            // The next process reads the last counts of one that has left, under an index that no interface has.
            slots.Ifindex[uplink.Slot] = uplink.LeftAt is null ? (uint)uplink.Link.Ifindex : uint.MaxValue;
            slots.ByXdp[uplink.Slot] = uplink.ByXdp ? 1u : 0;
            slots.Identity[uplink.Slot] = uplink.Identity;
        }
        map.Write(0, slots);
    }
}
