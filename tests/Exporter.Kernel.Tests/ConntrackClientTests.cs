using System.Net;
using System.Net.Sockets;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Kernel.Tests;

/// <summary>Connections to addresses that nftables translates, as kube-proxy does it for a Service.</summary>
public sealed class ConntrackClientTests : IDisposable
{
    private const byte Tcp = 6;
    private const int ServicePort = 80;
    private const int BackendPort = 8080;

    private readonly NetworkNamespace _node = new("node");
    private readonly ConntrackClient _conntrack = new(TimeProvider.System);

    public ConntrackClientTests()
    {
        foreach (var line in (string[])["addr add 10.0.0.1/32 dev lo", "addr add 10.0.0.2/32 dev lo", "-6 addr add fd01::1/128 dev lo nodad", "-6 addr add fd01::2/128 dev lo nodad", "route add 10.96.0.0/16 dev lo src 10.0.0.1", "-6 route add fd02::/64 dev lo src fd01::1"])
        {
            _node.Ip(line);
        }
    }

    public void Dispose()
    {
        _conntrack.Dispose();
        _node.Dispose();
    }

    [Theory]
    [InlineData("10.96.0.5", "10.0.0.2", "ip")]
    [InlineData("fd02::5", "fd01::2", "ip6")]
    public void The_backend_of_a_translated_connection_is_found(string service, string backend, string family)
    {
        var target = family == "ip" ? $"{backend}:{BackendPort}" : $"[{backend}]:{BackendPort}";
        _node.Exec("nft", $"add table inet pnt; add chain inet pnt out {{ type nat hook output priority -100; }}; add rule inet pnt out {family} daddr {service} tcp dport {ServicePort} dnat {family} to {target}");
        using var listener = Open(backend);
        listener.Bind(new IPEndPoint(IPAddress.Parse(backend), BackendPort));
        listener.Listen();
        using var client = Open(service);
        client.Connect(IPAddress.Parse(service), ServicePort);
        var local = (IPEndPoint)client.LocalEndPoint!;

        Assert.Equal((ConntrackResult.Found, $"{IPAddress.Parse(backend)} {BackendPort}"), Find(local, service));
        Assert.Equal((ConntrackResult.NotFound, ""), Find(new(local.Address, local.Port ^ 1), service));
    }

    private Socket Open(string address) => _node.OpenSocket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp);

    private (ConntrackResult Result, string Backend) Find(IPEndPoint client, string service) => _node.Run(() =>
    {
        var destination = IPAddress.Parse(service).GetAddressBytes();
        var backend = new byte[destination.Length];
        var result = _conntrack.Find(Tcp, client.Address.GetAddressBytes(), (ushort)client.Port, destination, ServicePort, backend, out var port);
        return (result, result == ConntrackResult.Found ? $"{new IPAddress(backend)} {port}" : "");
    });
}
