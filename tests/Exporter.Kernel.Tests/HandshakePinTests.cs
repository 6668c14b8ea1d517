using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals.Handshakes;

namespace Exporter.Kernel.Tests;

/// <summary>What the handshake programs pin so that their misses outlive the process, when the kernel refuses it or a process was killed half-way.</summary>
public sealed class HandshakePinTests : IDisposable
{
    private readonly PinnedNode _node = new();
    private readonly PinDirectory _pins;

    public HandshakePinTests()
    {
        _pins = PinDirectory.Open(_node.Pins);
    }

    [Fact]
    public void What_cannot_be_pinned_of_the_second_program_is_pinned_later()
    {
        using var programs = Start();
        var program = Assert.Single(List("handshake_programs"));
        var links = Path.Combine(_node.Pins, Assert.Single(List(""), name => name.StartsWith("handshake_links_", StringComparison.Ordinal)));
        var note = Path.Combine(_node.Pins, "handshake_programs", $"{program}_missed");
        Directory.Delete(links, recursive: true);
        File.CreateSymbolicLink(links, "taken");

        Assert.Throws<PinException>(() =>
        {
            programs.AttachSecond();
            programs.ReadMissed();
        });
        File.Delete(links);
        Assert.Equal(0ul, programs.ReadMissed()[^1].Count);

        Assert.True(File.Exists(Path.Combine(links, "podnet_tp_state2")));
        Assert.Equal("0", new FileInfo(note).LinkTarget);

        File.Delete(note);
        programs.ReadMissed();
        Assert.Equal("0", new FileInfo(note).LinkTarget);
    }

    [Fact]
    public void A_note_whose_program_is_gone_is_removed_and_those_of_programs_that_are_there_stay()
    {
        using var first = Start();
        var program = Assert.Single(List("handshake_programs"));
        File.CreateSymbolicLink(Path.Combine(_node.Pins, "handshake_programs", "123_missed"), "7");
        File.CreateSymbolicLink(Path.Combine(_node.Pins, "handshake_programs", $"{program}_missed"), "7");

        using var second = Start();

        Assert.Equal([program, $"{program}_missed"], List("handshake_programs").Where(name => name.StartsWith(program, StringComparison.Ordinal)).Order());
        Assert.Equal(3, List("handshake_programs").Count);
        Assert.Equal([7ul, 0ul], second.ReadMissed().ToArray().Select(missed => missed.Count));
    }

    public void Dispose()
    {
        _pins.RemoveAll();
        _pins.Dispose();
        _node.Dispose();
    }

    private HandshakePrograms Start()
    {
        var programs = HandshakePrograms.Attach(HandshakeAttachType.Tracepoint, [1_000_000, 1_000_000_000], maxNamespaces: 16, maxRetransmitting: 16, _pins);
        programs.Activate();
        return programs;
    }

    private IReadOnlyList<string> List(string part) => _pins.List(part);
}
