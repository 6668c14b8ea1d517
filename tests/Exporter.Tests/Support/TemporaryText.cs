namespace Exporter.Tests.Support;

/// <summary>A file with a text.</summary>
internal sealed class TemporaryText : IDisposable
{
    internal TemporaryText(string text) => File.WriteAllText(Path, text);

    internal string Path { get; } = System.IO.Path.GetTempFileName();

    public void Dispose() => File.Delete(Path);
}
