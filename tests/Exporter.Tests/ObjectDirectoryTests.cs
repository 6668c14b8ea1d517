using Exporter.Replacement;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Which objects are offered, and when.</summary>
public sealed class ObjectDirectoryTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("objects");
    private readonly ObjectDirectory _objects;

    public ObjectDirectoryTests() => _objects = new(TestOptions.Read(("Bpf:ObjectDirectory", _directory.FullName)).Bpf);

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void An_object_is_offered_when_it_is_there_and_when_it_has_changed()
    {
        Assert.False(TryTake(out _));

        Write("one");
        Assert.True(TryTake(out var content));
        Assert.Equal("one"u8.ToArray(), content);
        Assert.False(TryTake(out _));

        Write("two");
        Assert.True(TryTake(out content));
        Assert.Equal("two"u8.ToArray(), content);
        Assert.False(TryTake(out _));
    }

    [Fact]
    public void An_object_that_was_taken_and_not_used_is_offered_again()
    {
        Write("one");
        Assert.True(TryTake(out _));

        _objects.Forget("name");

        Assert.True(TryTake(out var content));
        Assert.Equal("one"u8.ToArray(), content);
    }

    private void Write(string content) => File.WriteAllText(Path.Combine(_directory.FullName, "name.bpf.o"), content);

    private bool TryTake(out byte[]? content) => _objects.TryTakeNew("name", out _, out content, out _);
}
