using System.Net;
using System.Net.Sockets;
using Exporter.Server;
using Microsoft.AspNetCore.Connections;

namespace Exporter.Tests;

/// <summary>What Kestrel is given where the kernel refuses an address. It takes another family's if that is no IOException.</summary>
public sealed class GatedListenerFactoryTests
{
    [Theory]
    [InlineData("::", SocketError.AddressFamilyNotSupported)]
    [InlineData("::1", SocketError.AddressFamilyNotSupported)]
    [InlineData("::1", SocketError.AddressNotAvailable)]
    public void Without_IPv6_the_address_of_IPv4_is_tried(string address, SocketError error)
    {
        var refused = GatedListenerFactory.Explain(new IPEndPoint(IPAddress.Parse(address), 9969), new SocketException((int)error));

        Assert.Equal(error, Assert.IsType<SocketException>(refused).SocketErrorCode);
        Assert.Contains("Cannot listen on [::", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("192.0.2.1", SocketError.AddressNotAvailable)]
    [InlineData("2001:db8::1", SocketError.AddressNotAvailable)]
    [InlineData("2001:db8::1", SocketError.AddressFamilyNotSupported)]
    [InlineData("::", SocketError.AccessDenied)]
    public void Another_address_is_named_and_no_other_is_tried(string address, SocketError error)
    {
        var refused = GatedListenerFactory.Explain(new IPEndPoint(IPAddress.Parse(address), 9969), new SocketException((int)error));

        Assert.StartsWith("Cannot listen on ", Assert.IsType<IOException>(refused).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_address_that_is_taken_is_one_that_is_taken() =>
        Assert.IsType<AddressInUseException>(GatedListenerFactory.Explain(new IPEndPoint(IPAddress.IPv6Any, 9969), new SocketException((int)SocketError.AddressAlreadyInUse)));
}
