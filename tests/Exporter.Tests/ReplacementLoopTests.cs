using Exporter.Bpf;
using Exporter.Bpf.Native;
using Exporter.Health;
using Exporter.Replacement;
using Exporter.Signals.Objects;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>What becomes of the files of objects: which are offered to which loaded objects, and what is shown of it.</summary>
public sealed class ReplacementLoopTests : IDisposable
{
    private const string Uplink = "uplink";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("objects");
    private readonly CountingNode _node;
    private readonly ObjectStatusBoard _board;
    private readonly FakeObject _uplink = new(Uplink);
    private readonly RecordingLogger<ReplacementLoop> _logger = new();
    private readonly ReplacementLoop _loop;

    public ReplacementLoopTests()
    {
        _node = new(("Bpf:ObjectDirectory", _directory.FullName));
        _board = new(_node.Options.Bpf, _node.Factory, _node.Options.Signals);
        _loop = NewLoop();
    }

    private ObjectStatus Status => _board.Status.Single(status => status.Name == Uplink);

    public void Dispose()
    {
        _loop.Dispose();
        _node.Dispose();
        _directory.Delete(recursive: true);
    }

    [Fact]
    public async Task A_file_waits_until_its_object_is_loaded()
    {
        _uplink.IsLoaded = false;
        Publish("one");
        await LookAsync();
        Assert.Equal((0, null), (_uplink.Offered.Count, Status.Refusal));

        _uplink.IsLoaded = true;
        await LookAsync();

        Assert.Equal(["one"], _uplink.Offered);
        Assert.EndsWith("uplink.bpf.o", Status.Source, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_object_that_is_loaded_again_is_the_built_in_one_and_is_offered_its_file_again()
    {
        Publish("one");
        await LookAsync();

        _uplink.IsLoaded = false;
        _board.ForgetUnloaded([_uplink]);
        Assert.Equal(new ObjectStatus(Uplink), Status);
        _uplink.IsLoaded = true;
        _board.ForgetUnloaded([_uplink]);
        await LookAsync();
        await LookAsync();

        Assert.Equal(["one", "one"], _uplink.Offered);
    }

    [Fact]
    public async Task An_object_that_stays_loaded_keeps_what_it_is()
    {
        Publish("one");
        await LookAsync();

        _board.ForgetUnloaded([_uplink]);
        await LookAsync();

        Assert.NotNull(Status.Source);
        Assert.Equal(["one"], _uplink.Offered);
    }

    /// <summary>Memory, a loopback that is down, an interface that goes.</summary>
    [Theory]
    [InlineData(Errno.ENOMEM)]
    [InlineData(Errno.EAGAIN)]
    [InlineData(Errno.ENODEV)]
    [InlineData(Errno.ENOLINK)]
    public async Task A_refusal_of_the_moment_is_tried_again(int errno)
    {
        _uplink.Refusal = new BpfException("load it", errno);
        Publish("one");
        await LookAsync();
        _node.Time.Advance(TimeSpan.FromSeconds(4));
        await LookAsync();
        Assert.Single(_uplink.Offered);
        _node.Time.Advance(TimeSpan.FromSeconds(1));
        await LookAsync();
        Assert.Equal(2, _uplink.Offered.Count);
        Assert.Equal(1, _logger.CountOf("Rejected"));
        Assert.NotNull(Status.Refusal);

        _uplink.Refusal = null;
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        await LookAsync();
        _node.Time.Advance(TimeSpan.FromMinutes(1));
        await LookAsync();

        Assert.Equal(["one", "one", "one"], _uplink.Offered);
        Assert.Null(Status.Refusal);
    }

    [Fact]
    public async Task Where_pins_are_at_fault_it_is_tried_again()
    {
        _uplink.Refusal = new PinException("Cannot pin it");
        Publish("one");
        await LookAsync();
        _node.Time.Advance(TimeSpan.FromSeconds(5));
        await LookAsync();

        Assert.Equal(2, _uplink.Offered.Count);
    }

    /// <summary>A session ends with its loop.</summary>
    [Fact]
    public async Task The_next_session_tries_it_again()
    {
        _uplink.Refusal = new BpfException("load it", Errno.ENOMEM);
        Publish("one");
        await LookAsync();
        _uplink.Refusal = null;
        using var next = NewLoop();
        _node.Time.Advance(TimeSpan.FromSeconds(5));

        await next.LookAsync(CancellationToken.None);

        Assert.Equal(["one", "one"], _uplink.Offered);
    }

    [Fact]
    public async Task While_a_refused_file_waits_another_one_is_taken_at_once()
    {
        _uplink.Refusal = new BpfException("load it", Errno.ENOMEM);
        Publish("one");
        await LookAsync();
        _uplink.Refusal = null;
        Publish("two");
        await LookAsync();

        Assert.Equal(["one", "two"], _uplink.Offered);
        Assert.Null(Status.Refusal);
    }

    [Theory]
    [InlineData(Errno.EACCES)]
    [InlineData(Errno.EINVAL)]
    [InlineData(Errno.EPERM)]
    public async Task A_file_that_is_refused_for_what_is_in_it_is_not_tried_again(int errno)
    {
        _uplink.Refusal = new BpfException("load it", errno);
        Publish("one");
        await LookAsync();
        _node.Time.Advance(TimeSpan.FromHours(1));
        await LookAsync();

        Assert.Single(_uplink.Offered);
    }

    private ReplacementLoop NewLoop() => new(_board, [_uplink], new NoInterfaces(), new LoopHealth(_node.Time), _node.Time, _logger);

    private Task LookAsync() => _loop.LookAsync(CancellationToken.None);

    private void Publish(string content) => File.WriteAllText(Path.Combine(_directory.FullName, Uplink + ".bpf.o"), content);

    private sealed class FakeObject(string name) : IReplaceable
    {
        public string Name => name;

        public IReadOnlyList<BpfProgram> Programs => IsLoaded ? new BpfProgram[1] : [];

        internal bool IsLoaded { get; set; } = true;

        /// <summary>Why it is refused; null: it is not.</summary>
        internal KernelException? Refusal { get; set; }

        internal List<string> Offered { get; } = [];

        public Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken)
        {
            Offered.Add(System.Text.Encoding.UTF8.GetString(elf));
            return Refusal is null ? Task.CompletedTask : Task.FromException(Refusal);
        }
    }

    private sealed class NoInterfaces : IInterfacePrograms
    {
        public Task ReplaceAsync(PacketObject packets, byte[] elf, CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
