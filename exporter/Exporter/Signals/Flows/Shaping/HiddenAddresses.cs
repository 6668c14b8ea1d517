using Exporter.Records;

namespace Exporter.Signals.Flows.Shaping;

/// <summary>Cuts or clears the addresses of records.</summary>
internal sealed class HiddenAddresses(AddressPolicy policy, int prefixV4, int prefixV6)
{
    internal void Hide(FlowRecord record)
    {
        if (policy == AddressPolicy.Full)
        {
            return;
        }
        var address = record.Source.Address.IsNone ? record.Destination.Address : record.Source.Address;
        record.Family = address.IsNone ? record.Family : address.Family;
        Hide(ref record.Source);
        Hide(ref record.Destination);
        Hide(record.ExampleHosts);
        Hide(record.ExampleSources);
    }

    private void Hide(ref FlowSide side)
    {
        side.Address = Hide(side.Address);
        (side.NatAddress, side.NatPort) = (default, 0);
    }

    /// <summary>Several addresses of one prefix become one: they are in their order.</summary>
    private void Hide(List<FlowAddress> addresses)
    {
        var count = 0;
        for (var i = 0; i < addresses.Count; i++)
        {
            var hidden = Hide(addresses[i]);
            if (!hidden.IsNone && (count == 0 || addresses[count - 1] != hidden))
            {
                addresses[count++] = hidden;
            }
        }
        addresses.RemoveRange(count, addresses.Count - count);
    }

    private FlowAddress Hide(FlowAddress address) => policy switch
    {
        AddressPolicy.None => default,
        AddressPolicy.Prefix when !address.IsNone => address.Prefix(address.Family == IpFamily.Ipv4 ? prefixV4 : prefixV6),
        _ => address,
    };
}
