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

    [Fact]
    public void An_object_that_cannot_be_pinned_is_refused_and_leaves_nothing()
    {
        using var programs = Start();
        var (before, links) = (IdsOf(programs), LinkParts());
        var part = Path.Combine(_node.Pins, "handshake_programs");
        Directory.Delete(part, recursive: true);
        File.CreateSymbolicLink(part, "taken");
        var elf = BpfVariants.Compile("kprobe", "tcp_handshake");

        Assert.Throws<PinException>(() => programs.Replace(elf, LoopbackTrial.FindUnseen));

        Assert.Equal((before, ""), (IdsOf(programs), LoopbackTrial.FindUnseen(programs.Steps)));
        Assert.Equal(links, LinkParts());
        Assert.Equal(0ul, programs.ReadMissed()[^1].Count);

        File.Delete(part);
        programs.Replace(elf, LoopbackTrial.FindUnseen);
        Assert.NotEqual(before, IdsOf(programs));
        Assert.NotEqual(links[0], Assert.Single(LinkParts()));
    }

    /// <summary>What another process has made in its place is not ours.</summary>
    [Fact]
    public void In_a_directory_that_is_lost_nothing_is_pinned_or_removed()
    {
        using var programs = Start();
        var before = IdsOf(programs);
        Directory.Delete(_node.Pins, recursive: true);
        var others = Path.Combine(_node.Pins, "handshake_links_123");
        Directory.CreateDirectory(others);

        programs.Replace(BpfVariants.Compile("kprobe", "tcp_handshake"), LoopbackTrial.FindUnseen);

        Assert.NotEqual(before, IdsOf(programs));
        Assert.Equal(["handshake_links_123"], List(""));
        Assert.Equal(2, programs.ReadMissed().Length);
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

    private static string IdsOf(HandshakePrograms programs) => string.Join(' ', programs.Programs.Select(program => program.Id));

    private IReadOnlyList<string> LinkParts() => [.. List("").Where(name => name.StartsWith("handshake_links_", StringComparison.Ordinal))];

    private IReadOnlyList<string> List(string part) => _pins.List(part);
}
