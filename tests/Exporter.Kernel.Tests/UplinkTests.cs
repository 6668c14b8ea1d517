using System.Text.Json;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Uplinks;

namespace Exporter.Kernel.Tests;

/// <summary>
/// Uplinks as the binary counts them, beside two truths: the frames that the test has sent, and the interface's own counters. PODNET_UPLINK_FRAMES sends more.
/// </summary>
public sealed class UplinkTests : IDisposable
{
    private const string NoPods = "--Attach:Include=^none$";

    private static readonly int Frames = EnvironmentNumber.Read("PODNET_UPLINK_FRAMES") ?? 100_000;

    private readonly PinnedNode _node = new(NoPods, "--Identity:Source=standalone");
    private readonly UplinkWire _uplink = new();

    public void Dispose()
    {
        _node.Dispose();
        _uplink.Dispose();
    }

    [Theory]
    [InlineData("tcx", "tcx", "tcx")]
    [InlineData("tcx", "clsact", "clsact")]
    [InlineData("xdp", "tcx", "xdp")]
    [InlineData("xdp-generic", "tcx", "xdp-generic")]
    public async Task Every_frame_is_counted_once_in_its_class_both_ways(string hook, string attach, string shown)
    {
        using var exporter = await StartAsync(_uplink, hook, $"--Attach:Hook={attach}");
        var (received, sent) = (new ClassCounts(), new ClassCounts());
        using var wire = _uplink.OpenWire();
        using var own = _uplink.Open();
        while (received.Total + sent.Total < Frames)
        {
            foreach (var (frame, one) in UplinkFrames.All)
            {
                wire.Send(frame);
                received.Add(one, frame.Length);
                own.Send(frame);
                sent.Add(one, frame.Length);
            }
        }

        var samples = await ScrapeUntilAsync(exporter, received.Total + sent.Total);

        Assert.Equal(received.Packets, PacketsOf(samples, "receive"));
        Assert.Equal(sent.Packets, PacketsOf(samples, "transmit"));
        Assert.Equal((received.Total, sent.Total), (_uplink.Counters.Received, _uplink.Counters.Sent));
        Assert.Equal(sent.Bytes, samples.Sum("podnet_uplink_transmit_bytes_total"));
        Assert.Equal(received.Bytes, samples.Sum("podnet_uplink_receive_bytes_total"));
        Assert.Equal(received.Total, samples[$"podnet_uplink_packet_size_bytes_count{{interface=\"{_uplink.Name}\",direction=\"receive\"}}"]);
        Assert.Equal(received.Bytes, samples[$"podnet_uplink_packet_size_bytes_sum{{interface=\"{_uplink.Name}\",direction=\"receive\"}}"]);
        Assert.Equal(1, samples[$"podnet_exporter_hook_info{{kind=\"uplink\",hook=\"{shown}\"}}"]);
        Assert.Equal(1, samples["podnet_exporter_uplinks{state=\"counted\"}"]);
    }

    [Fact]
    public async Task Frames_that_nothing_on_the_node_speaks_are_drops_of_the_stack()
    {
        using var exporter = await StartAsync(_uplink, "tcx");
        using var wire = _uplink.OpenWire();
        wire.Send(Packet.Ethernet().EtherType(0x88cc).Bytes(46).ToArray());
        await ScrapeUntilAsync(exporter, 1);
        var before = _uplink.Counters.Dropped;
        for (var i = 0; i < 7; i++)
        {
            // To all, so that it is not another's.
            byte[] frame = [.. Enumerable.Repeat((byte)0xff, 6), .. Packet.Ethernet().EtherType(0x88b5).Bytes(46).ToArray()[6..]];
            wire.Send(frame);
        }

        var samples = await exporter.ScrapeUntilAsync(samples => DropsOf(samples, "backlog") >= 7);

        Assert.True(_uplink.Counters.Dropped >= before + 7);
        Assert.Equal(0, DropsOf(samples, "missed"));
        Assert.Equal(_uplink.Counters.Dropped, DropsOf(samples, "backlog"));
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("xdp")]
    public async Task Killed_and_started_again_under_load_every_frame_is_counted_once(string hook)
    {
        var exporter = await StartAsync(_uplink, hook);
        ulong sent;
        using (var load = new FrameLoad(_uplink))
        {
            for (var round = 0; round < 4; round++)
            {
                await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total") > 1000);
                exporter.Kill();
                exporter.Dispose();
                exporter = await StartAsync(_uplink, hook);
            }
            sent = load.Stop();
        }

        var samples = await ScrapeUntilAsync(exporter, sent);

        Assert.Equal(sent, samples.Sum("podnet_uplink_receive_packets_total"));
        Assert.Equal(sent, _uplink.Counters.Received);
        exporter.Dispose();
    }

    [Theory]
    [InlineData("tcx", "tcx")]
    [InlineData("tcx", "clsact")]
    [InlineData("xdp", "tcx")]
    public async Task Replaced_under_load_every_frame_is_counted_once(string hook, string attach)
    {
        using var variants = new BpfVariants();
        using var exporter = await StartAsync(_uplink, hook, $"--Attach:Hook={attach}", $"--Bpf:ObjectDirectory={variants.Target}");
        var first = await ProgramIdsAsync(exporter);
        ulong sent;
        using (var load = new FrameLoad(_uplink))
        {
            variants.Publish("uplink", BpfVariants.Compile("xdp", "uplink"));
            await exporter.WaitForLogAsync("uplink");
            Assert.True(SpinWait.SpinUntil(() => !ProgramIdsAsync(exporter).GetAwaiter().GetResult().Intersect(first).Any(), Silence.Limit));
            sent = load.Stop();
        }

        var samples = await ScrapeUntilAsync(exporter, sent);

        Assert.Equal(sent, samples.Sum("podnet_uplink_receive_packets_total"));
        Assert.Equal(sent, _uplink.Counters.Received);
    }

    [Fact]
    public async Task Switched_off_and_on_the_file_takes_the_place_of_the_built_in_programs_again()
    {
        using var variants = new BpfVariants();
        using var volume = new ConfigMapVolume();
        void Publish(string interfaces) => volume.Publish("options.json", System.Text.Encoding.UTF8.GetBytes($$$"""{"Uplinks": {"Interfaces": "{{{interfaces}}}"}}"""));
        Publish("");
        variants.Publish("uplink", BpfVariants.Compile("xdp", "uplink", ["-mcpu=v2"]));
        using var exporter = await _node.StartAsync($"--Options:File={volume.PathOf("options.json")}", $"--Bpf:ObjectDirectory={variants.Target}");
        var tags = new List<string>();
        for (var round = 1; round <= 2; round++)
        {
            Publish(_uplink.Name);
            await exporter.ScrapeUntilAsync(samples => ReplacementsOf(samples, "replaced") == round && samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
            var loaded = await ObjectAsync(exporter);
            Assert.EndsWith("uplink.bpf.o", loaded.GetProperty("source").GetString(), StringComparison.Ordinal);
            tags.Add(string.Join(' ', loaded.GetProperty("programs").EnumerateArray().Select(program => program.GetProperty("tag").GetString())));

            Publish("");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"off\"}"] == 1);
            Assert.Equal("built in", (await ObjectAsync(exporter)).GetProperty("source").GetString());
        }

        Assert.Equal(tags[0], tags[1]);
        Assert.Equal(0, ReplacementsOf(await exporter.ScrapeAsync(), "refused"));

        static double? ReplacementsOf(MetricSamples samples, string result) => samples[$"podnet_exporter_bpf_replacements_total{{object=\"uplink\",result=\"{result}\"}}"];
    }

    [Fact]
    public async Task A_program_that_drops_a_frame_is_refused()
    {
        using var variants = new BpfVariants();
        using var exporter = await StartAsync(_uplink, "xdp", $"--Bpf:ObjectDirectory={variants.Target}");
        var first = await ProgramIdsAsync(exporter);

        variants.Publish("uplink", BpfVariants.Compile("xdp", "uplink", null, ("return XDP_PASS;", "return XDP_DROP;")));

        await exporter.WaitForLogAsync("only 2 lets it pass");
        Assert.Equal(first, await ProgramIdsAsync(exporter));
    }

    [Theory]
    [InlineData("xdpdrv")]
    [InlineData("xdpgeneric")]
    public async Task The_hook_of_another_program_is_left_alone_and_taken_when_it_is_free(string option)
    {
        using var foreign = new ForeignXdp(_uplink.Name, option);
        var held = _uplink.XdpProgram;

        using var exporter = await StartAsync(_uplink, "xdp", isWhole: false);

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"fallback\"}"] == 1 && samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"tcx\"}"] == 1);
        await exporter.WaitForLogAsync($"program {held} (foreign_pass, loaded by user 0) has its XDP hook");
        Assert.Equal(held, _uplink.XdpProgram);
        using var wire = _uplink.OpenWire();
        wire.Send(Packet.Ethernet().Ipv4().Udp().ToArray());
        await ScrapeUntilAsync(exporter, 1);

        foreign.Dispose();

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1 && samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"xdp\"}"] == 1);
        wire.Send(Packet.Ethernet().Ipv4().Udp().ToArray());
        var samples = await ScrapeUntilAsync(exporter, 2);
        Assert.Null(samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"tcx\"}"]);
        await exporter.WaitForLogAsync("has its XDP hook");
        Assert.Single(exporter.Log, line => line.Contains("has its XDP hook", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_driver_without_XDP_is_named_and_TC_counts()
    {
        Shell.Ip("link add pntbridge type bridge");
        try
        {
            Shell.Ip("link set pntbridge addrgenmode none up");
            using var exporter = await _node.StartAsync("--Uplinks:Interfaces=pntbridge", "--Uplinks:Hook=xdp");

            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"fallback\"}"] == 1 && samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"tcx\"}"] == 1);
            await exporter.WaitForLogAsync("its driver, bridge, may have no XDP");
        }
        finally
        {
            Shell.TryRun("ip", "link", "delete", "pntbridge");
        }
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("xdp")]
    public async Task Programs_that_somebody_detaches_are_attached_again(string hook)
    {
        using var exporter = await StartAsync(_uplink, hook);
        var folder = Path.Combine(_node.Folder, hook == "xdp" ? "uplink_xdp_links" : "uplink_links");
        foreach (var pin in Directory.GetFiles(folder))
        {
            Shell.Run("bpftool", "link", "detach", "pinned", pin);
        }

        if (hook == "xdp")
        {
            Assert.True(SpinWait.SpinUntil(() => _uplink.XdpProgram is not null, Silence.Limit));
        }
        else
        {
            Assert.True(SpinWait.SpinUntil(() => TcHooks.CountPrograms(_uplink.Ifindex) == 2, Silence.Limit));
        }
        Send(_uplink, 3);
        await ScrapeUntilAsync(exporter, 3);
    }

    [Fact]
    public async Task Another_program_cannot_take_the_hook_while_it_is_held()
    {
        using var exporter = await StartAsync(_uplink, "xdp");
        var held = _uplink.XdpProgram;

        Assert.ThrowsAny<Exception>(() => new ForeignXdp(_uplink.Name, "xdpdrv"));
        Assert.ThrowsAny<Exception>(() => new ForeignXdp(_uplink.Name, "xdpgeneric"));

        Assert.Equal(held, _uplink.XdpProgram);
    }

    [Fact]
    public async Task Of_two_exporters_the_second_leaves_the_hook_to_the_first()
    {
        using var second = new PinnedNode(NoPods, "--Identity:Source=standalone");
        using var exporter = await StartAsync(_uplink, "xdp");
        var held = _uplink.XdpProgram;

        using var other = await second.StartAsync($"--Uplinks:Interfaces={_uplink.Name}", "--Uplinks:Hook=xdp");
        await other.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"fallback\"}"] == 1);

        Assert.Equal(held, _uplink.XdpProgram);
        using var wire = _uplink.OpenWire();
        wire.Send(Packet.Ethernet().Ipv4().Udp().ToArray());
        await ScrapeUntilAsync(exporter, 1);
        await ScrapeUntilAsync(other, 1);
        exporter.Terminate();
        Assert.Equal(held, _uplink.XdpProgram);
        Assert.Equal(0, _node.Uninstall().ExitCode);
        await other.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
    }

    [Fact]
    public async Task Uninstall_gives_the_hook_back_and_leaves_nothing()
    {
        using (await StartAsync(_uplink, "xdp"))
        {
        }
        Assert.NotNull(_uplink.XdpProgram);

        Assert.Equal(0, _node.Uninstall().ExitCode);

        Assert.Null(_uplink.XdpProgram);
        Assert.Equal(0, TcHooks.CountPrograms(_uplink.Ifindex));
    }

    [Fact]
    public async Task The_option_changes_while_frames_come_and_the_hook_with_it()
    {
        using var volume = new ConfigMapVolume();
        void Publish(string interfaces, string hook) =>
            volume.Publish("options.json", System.Text.Encoding.UTF8.GetBytes($$$"""{"Uplinks": {"Interfaces": "{{{interfaces}}}", "Hook": "{{{hook}}}"}}"""));
        Publish("", "tcx");
        using var exporter = await _node.StartAsync($"--Options:File={volume.PathOf("options.json")}");
        Assert.Equal(1, (await exporter.ScrapeAsync())["podnet_exporter_hook_info{kind=\"uplink\",hook=\"off\"}"]);
        Assert.Empty(Directory.GetFileSystemEntries(_node.Folder, "uplink*"));
        ulong sent;
        double last = 0;
        using (var load = new FrameLoad(_uplink))
        {
            foreach (var hook in (string[])["tcx", "xdp", "xdp-generic", "tcx", "xdp"])
            {
                Publish(_uplink.Name, hook);
                await exporter.ScrapeUntilAsync(samples => samples[$"podnet_exporter_hook_info{{kind=\"uplink\",hook=\"{hook}\"}}"] == 1 && Received(samples) > last + 1000);
                last = Received(await exporter.ScrapeAsync());
            }
            sent = load.Stop();
        }
        // From xdp to xdp-generic the exporter's own program is in the way, and goes.
        Assert.DoesNotContain(exporter.Log, line => line.Contains("has its XDP hook", StringComparison.Ordinal));
        // Which program counts changes in one step: frames that are between the two then are counted by both, or by none.
        var samples = await exporter.ScrapeAsync();
        Assert.InRange(Received(samples), last, sent + 5000);

        Publish("", "xdp");

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"off\"}"] == 1 && samples.Sum("podnet_exporter_uplinks") == 0);
        Assert.Null(_uplink.XdpProgram);
        Assert.Equal(0, TcHooks.CountPrograms(_uplink.Ifindex));
        Assert.Empty(Directory.GetFileSystemEntries(_node.Folder, "uplink*"));

        static double Received(MetricSamples samples) => samples.Sum("podnet_uplink_receive_packets_total");
    }

    [Fact]
    public async Task Switched_off_once_nothing_is_shown_as_counted()
    {
        using var volume = new ConfigMapVolume();
        volume.Publish("options.json", System.Text.Encoding.UTF8.GetBytes($$$"""{"Uplinks": {"Interfaces": "{{{_uplink.Name}}}"}}"""));
        using var exporter = await _node.StartAsync($"--Options:File={volume.PathOf("options.json")}");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);

        volume.Publish("options.json", "{}"u8.ToArray());

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"off\"}"] == 1 && samples["podnet_exporter_uplinks{state=\"counted\"}"] == 0);
    }

    [Theory]
    [InlineData("tcx")]
    [InlineData("xdp")]
    public async Task An_interface_that_leaves_and_returns_goes_on(string hook)
    {
        using var exporter = await StartAsync(_uplink, hook);
        Send(_uplink, 5);
        await ScrapeUntilAsync(exporter, 5);

        for (var round = 1; round <= 3; round++)
        {
            _uplink.Remove();
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 0);
            _uplink.Make();
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
            Send(_uplink, 5);
            await ScrapeUntilAsync(exporter, 5 * (round + 1));
        }
    }

    /// <summary>A pod's records, which are older than the first ones of the uplink and are free by then, are the next ones of it.</summary>
    [Fact]
    public async Task An_interface_that_has_left_and_returned_goes_on_after_a_restart()
    {
        using var node = new PinnedNode("--Identity:Source=standalone", $"--Attach:Exclude={_uplink.Name}", $"--Uplinks:Interfaces={_uplink.Name}");
        _uplink.Remove();
        var exporter = await node.StartAsync();
        using (await exporter.AddPodAsync())
        {
            await ComeAsync(5);
            _uplink.Remove();
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 0);
        }
        await exporter.GetPodsUntilAsync(pods => !pods.Attached.Any());
        await ComeAsync(12);
        exporter.Kill();
        exporter.Dispose();
        exporter = await node.StartAsync();
        Send(_uplink, 1);

        var samples = await ScrapeUntilAsync(exporter, 13);

        Assert.Equal(13, samples.Sum("podnet_uplink_receive_packets_total"));
        exporter.Dispose();

        async Task ComeAsync(int frames)
        {
            _uplink.Make();
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
            Send(_uplink, frames == 5 ? 5 : 7);
            await ScrapeUntilAsync(exporter, frames);
        }
    }

    [Fact]
    public async Task An_interface_that_leaves_while_nothing_runs_keeps_its_counts()
    {
        using (var exporter = await StartAsync(_uplink, "xdp"))
        {
            Send(_uplink, 3);
            await ScrapeUntilAsync(exporter, 3);
        }
        Send(_uplink, 4);
        _uplink.Remove();
        _uplink.Make();

        using var next = await StartAsync(_uplink, "xdp");
        Send(_uplink, 5);

        await ScrapeUntilAsync(next, 12);
    }

    [Fact]
    public async Task An_interface_with_another_name_is_counted_under_it_without_a_gap()
    {
        using var exporter = await _node.StartAsync("--Uplinks:Interfaces=pntup*", "--Uplinks:Hook=xdp");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] >= 1);
        Send(_uplink, 5);
        await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total", $"interface=\"{_uplink.Name}\"") == 5);
        var previous = _uplink.Name;

        _uplink.Rename("pntupnew");
        Send(_uplink, 7);

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total") == 12);
        Assert.True(samples.Sum("podnet_uplink_receive_packets_total", $"interface=\"{previous}\"") >= 5);
        await exporter.WaitForLogAsync("Counting the uplink pntupnew");
        Send(_uplink, 1);
        samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total", "interface=\"pntupnew\"") >= 1);
        Assert.Equal(13, samples.Sum("podnet_uplink_receive_packets_total"));
    }

    [Fact]
    public async Task An_interface_that_is_moved_to_another_namespace_takes_no_program_with_it()
    {
        using var exporter = await StartAsync(_uplink, "xdp");
        using var elsewhere = new NetworkNamespace("elsewhere");

        Shell.Ip($"link set {_uplink.Name} netns {elsewhere.Name}");

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 0);
        Assert.True(SpinWait.SpinUntil(() => !elsewhere.Ip($"-d link show dev {_uplink.Name}").Contains("xdp", StringComparison.Ordinal), Silence.Limit));
    }

    [Fact]
    public async Task Of_more_interfaces_than_slots_the_rest_is_named_and_counted_when_there_is_room()
    {
        var more = Enumerable.Range(0, UplinkSlots.Count).Select(_ => new UplinkWire()).ToList();
        try
        {
            using var exporter = await _node.StartAsync("--Uplinks:Interfaces=pntup*");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == UplinkSlots.Count && samples["podnet_exporter_uplinks{state=\"no_slot\"}"] == 1);
            await exporter.WaitForLogAsync($"more than {UplinkSlots.Count} interfaces; not counted: {more[^1].Name}");

            _uplink.Remove();

            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"no_slot\"}"] == 0);
            Send(more[^1], 3);
            await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total", $"interface=\"{more[^1].Name}\"") == 3);
        }
        finally
        {
            more.ForEach(uplink => uplink.Dispose());
        }
    }

    [Fact]
    public async Task The_interfaces_of_default_routes_are_followed()
    {
        using var exporter = await _node.StartAsync("--Uplinks:Interfaces=auto");
        await exporter.WaitForLogAsync("means no interface of this node: auto");
        Assert.Equal(0, (await exporter.ScrapeAsync())["podnet_exporter_uplinks{state=\"counted\"}"]);

        Shell.Ip($"addr add 10.199.0.1/24 dev {_uplink.Name}");
        Shell.Ip("route add default via 10.199.0.2");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
        Shell.Ip($"link set {_uplink.Name} down");
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 0);
    }

    /// <summary>A TUN device has packets that begin with the IP header.</summary>
    [Fact]
    public async Task An_interface_without_Ethernet_headers_is_named_and_not_counted()
    {
        Shell.Ip("tuntap add dev pnttun mode tun");
        try
        {
            Shell.Ip("link set pnttun up");
            Shell.Ip("route add default dev pnttun");
            using var exporter = await _node.StartAsync("--Uplinks:Interfaces=auto");

            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"no_ethernet\"}"] == 1);

            await exporter.WaitForLogAsync("not counted: pnttun");
            Assert.Equal(0, (await exporter.ScrapeAsync())["podnet_exporter_uplinks{state=\"counted\"}"]);
            using var page = JsonDocument.Parse(await exporter.GetAsync("/api/v1/uplinks"));
            Assert.Equal("pnttun", Assert.Single(page.RootElement.GetProperty("withoutEthernet").EnumerateArray()).GetString());
            var (_, output, _) = ExporterProcess.Run("check", "--Uplinks:Interfaces=auto");
            Assert.Contains("would not be counted: its packets have no Ethernet header", output, StringComparison.Ordinal);
        }
        finally
        {
            Shell.TryRun("ip", "link", "delete", "pnttun");
        }
    }

    [Fact]
    public async Task Where_its_link_cannot_be_pinned_XDP_counts_as_long_as_the_process()
    {
        (await _node.StartAsync()).Dispose();
        var part = Path.Combine(_node.Folder, "uplink_xdp_links");
        File.CreateSymbolicLink(part, "taken");

        using var exporter = await StartAsync(_uplink, "xdp", isWhole: false);
        await exporter.WaitForLogAsync("XDP counts its frames as long as this process runs");
        Send(_uplink, 3);
        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total") == 3);
        Assert.Equal(1, samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"xdp\"}"]);

        File.Delete(part);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1);
        Assert.True(File.Exists(Path.Combine(part, $"{_uplink.Ifindex}")));
    }

    [Fact]
    public async Task Frames_of_9000_bytes_are_counted_by_XDP()
    {
        using var jumbo = new UplinkWire(" mtu 9000");
        jumbo.Outside.Ip("link set wire0 mtu 9000");
        using var exporter = await StartAsync(jumbo, "xdp");
        using var wire = jumbo.OpenWire();

        wire.Send(Packet.Ethernet().Ipv4().Udp().FillTo(9000).ToArray());

        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_uplink_receive_packets_total") == 1);
        Assert.Equal(9000, samples.Sum("podnet_uplink_receive_bytes_total"));
        Assert.Equal(1, samples["podnet_exporter_hook_info{kind=\"uplink\",hook=\"xdp\"}"]);
    }

    [Fact]
    public async Task The_page_shows_each_interface_and_why_it_is_counted_otherwise()
    {
        using var foreign = new ForeignXdp(_uplink.Name, "xdpdrv");
        using var exporter = await StartAsync(_uplink, "xdp", isWhole: false);
        Send(_uplink, 3);
        await ScrapeUntilAsync(exporter, 3);

        using var page = JsonDocument.Parse(await exporter.GetAsync("/api/v1/uplinks"));

        var uplink = Assert.Single(page.RootElement.GetProperty("uplinks").EnumerateArray());
        Assert.Equal((_uplink.Name, "fallback", "tcx", "veth"), (uplink.GetProperty("name").GetString(), uplink.GetProperty("state").GetString(), uplink.GetProperty("hook").GetString(), uplink.GetProperty("driver").GetString()));
        Assert.Contains("has its XDP hook", uplink.GetProperty("problem").GetString(), StringComparison.Ordinal);
        Assert.Equal(3, uplink.GetProperty("receive").GetProperty("udp").GetProperty("packets").GetInt32());
    }

    [Fact]
    public void Check_says_of_each_interface_how_it_would_be_counted()
    {
        var (_, output, _) = ExporterProcess.Run("check", $"--Uplinks:Interfaces={_uplink.Name};nothere", "--Uplinks:Hook=xdp");

        Assert.Contains($"uplink {_uplink.Name}", output, StringComparison.Ordinal);
        Assert.Contains("driver veth, MTU 1500, ", output, StringComparison.Ordinal);
        Assert.Contains("no XDP program", output, StringComparison.Ordinal);
        Assert.Contains("received frames by xdp unless the driver refuses it", output, StringComparison.Ordinal);
        Assert.Null(_uplink.XdpProgram);
    }

    private static void Send(UplinkWire uplink, int frames)
    {
        using var wire = uplink.OpenWire();
        for (var i = 0; i < frames; i++)
        {
            wire.Send(Packet.Ethernet().Ipv4().Udp().Bytes(i).ToArray());
        }
    }

    private static Task<MetricSamples> ScrapeUntilAsync(ExporterProcess exporter, double frames) => exporter.ScrapeUntilAsync(
        samples => samples.Sum("podnet_uplink_receive_packets_total") + samples.Sum("podnet_uplink_transmit_packets_total") >= frames);

    private static Dictionary<string, double> PacketsOf(MetricSamples samples, string direction) => UplinkValue.ClassNames.ToDictionary(
        name => name, name => samples.Sum($"podnet_uplink_{direction}_packets_total", $"class=\"{name}\""));

    private static async Task<IReadOnlyList<int>> ProgramIdsAsync(ExporterProcess exporter) =>
        [.. (await ObjectAsync(exporter)).GetProperty("programs").EnumerateArray().Select(program => program.GetProperty("id").GetInt32())];

    private static async Task<JsonElement> ObjectAsync(ExporterProcess exporter) =>
        JsonElement.Parse(await exporter.GetAsync("/api/v1/bpf")).GetProperty("objects").EnumerateArray().Single(loaded => loaded.GetProperty("name").GetString() == "uplink");

    private double? DropsOf(MetricSamples samples, string reason) => samples[$"podnet_uplink_dropped_packets_total{{interface=\"{_uplink.Name}\",reason=\"{reason}\"}}"];

    private Task<ExporterProcess> StartAsync(UplinkWire uplink, string hook, params string[] more) => StartAsync(uplink, hook, isWhole: true, more);

    /// <param name="isWhole">Whether to wait until it is counted as the options want it.</param>
    private async Task<ExporterProcess> StartAsync(UplinkWire uplink, string hook, bool isWhole, params string[] more)
    {
        var exporter = await _node.StartAsync([$"--Uplinks:Interfaces={uplink.Name}", $"--Uplinks:Hook={hook}", .. more]);
        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_uplinks{state=\"counted\"}"] == 1 || (!isWhole && samples["podnet_exporter_uplinks{state=\"fallback\"}"] == 1));
        return exporter;
    }

    /// <summary>What was sent.</summary>
    private sealed class ClassCounts
    {
        internal Dictionary<string, double> Packets { get; } = UplinkValue.ClassNames.ToDictionary(name => name, _ => 0.0);

        internal double Bytes { get; private set; }

        internal double Total => Packets.Values.Sum();

        internal void Add(UplinkClass one, int length)
        {
            Packets[UplinkValue.ClassNames[(int)one]]++;
            Bytes += length;
        }
    }
}
