using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Bpf.Native;
using Exporter.Bpf.Netlink;
using Exporter.Kernel.Tests.Support;
using Exporter.Options;
using Exporter.Signals.Objects;
using Exporter.Signals.Uplinks;
using Microsoft.Extensions.Configuration;

namespace Exporter.Kernel.Tests;

/// <summary>Other programs in the place of those that are attached to uplinks, of which one is gone or refuses.</summary>
public sealed class UplinkExchangeTests : IDisposable
{
    private readonly UplinkPrograms _programs;
    private readonly UplinkWire _wire = new();
    private readonly Uplink _uplink;

    public UplinkExchangeTests()
    {
        var options = Commands.ExporterOptions.Read(new OptionReader(new ConfigurationBuilder().Build()));
        _programs = UplinkPrograms.Load(new(
            options.Bpf, Task.FromException<PacketObject>(new InvalidOperationException()), null, _ => false, pair => new TcxAttacher(pair), Task.FromException<NetNamespaces>(new InvalidOperationException())));
        _uplink = Attach(_wire, slot: 0);
    }

    [Fact]
    public void An_uplink_that_has_just_gone_does_not_keep_the_others_from_it()
    {
        using var other = new UplinkWire();
        var gone = Attach(other, slot: 1);
        other.Remove();
        var next = Load();

        UplinkExchange.Replace(_programs, next, [gone, _uplink]);

        Assert.Equal(next.Program("podnet_uplink_frags").Id, _wire.XdpProgram);
        AssertCurrent();
    }

    [Fact]
    public void One_that_refuses_keeps_it_from_all_and_the_next_is_taken()
    {
        var before = _wire.XdpProgram;
        var refusing = new Uplink(1, new(99, "other", ""), default) { Ingress = new Refusing() };

        Assert.Throws<BpfException>(() => UplinkExchange.Replace(_programs, Load(), [_uplink, refusing]));

        Assert.Equal(before, _wire.XdpProgram);
        AssertCurrent();

        UplinkExchange.Replace(_programs, Load(), [_uplink]);
        Assert.NotEqual(before, _wire.XdpProgram);
        AssertCurrent();
    }

    [Fact]
    public void On_the_way_back_one_that_has_gone_does_not_keep_the_others_from_it()
    {
        var before = _wire.XdpProgram;
        using var other = new UplinkWire();
        var going = Attach(other, slot: 1);
        var refusing = new Uplink(2, new(99, "other", ""), default) { Ingress = new Refusing(other.Remove) };

        Assert.Throws<BpfException>(() => UplinkExchange.Replace(_programs, Load(), [going, _uplink, refusing]));

        Assert.Equal(before, _wire.XdpProgram);
        AssertCurrent();
    }

    public void Dispose()
    {
        UplinkAttaching.Detach(_uplink);
        _wire.Dispose();
        _programs.Dispose();
    }

    private BpfObject Load() => _programs.LoadNext(BpfVariants.Compile("xdp", "uplink", ["-mcpu=v2"]));

    private Uplink Attach(UplinkWire wire, int slot) => new(slot, new(wire.Ifindex, wire.Name, "veth"), default)
    {
        Ingress = _programs.Tc.TryAttach(wire.Ifindex, TcDirection.Ingress),
        Egress = _programs.Tc.TryAttach(wire.Ifindex, TcDirection.Egress),
        Xdp = _programs.Xdp.TryAttach(_programs.Receive, wire.Ifindex, isGeneric: false),
    };

    private void AssertCurrent()
    {
        Assert.True(_programs.Tc.IsAttached(_wire.Ifindex));
        Assert.Equal(_programs.Receive.Id, _wire.XdpProgram);
    }

    /// <param name="before">Done before it refuses.</param>
    private sealed class Refusing(Action? before = null) : TcAttachment(99, TcDirection.Ingress)
    {
        public override bool IsPinned => true;

        public override void Renew()
        {
            before?.Invoke();
            throw new BpfException("renew it", Errno.EPERM);
        }

        public override void Pin()
        {
        }

        public override void Dispose()
        {
        }
    }
}
