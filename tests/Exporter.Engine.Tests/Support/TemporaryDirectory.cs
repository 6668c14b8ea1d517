using System.Diagnostics;

namespace Exporter.Engine.Tests.Support;

/// <summary>A directory that is removed with its files, however this process ends: a shell waits for the end of its input, which this process holds.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    /// <summary>A program that is being killed may still write.</summary>
    private const string Remover = """cat >/dev/null; rm -rf "$1" 2>/dev/null || { sleep 2; rm -rf "$1"; } """;

    private readonly Process _remover;

    internal TemporaryDirectory()
    {
        Path = Directory.CreateTempSubdirectory("podnet-engine-").FullName;
        _remover = Process.Start(new ProcessStartInfo("sh", ["-c", Remover, "sh", Path]) { RedirectStandardInput = true })!;
    }

    internal string Path { get; }

    /// <summary>Writes a file, and returns its path.</summary>
    internal string Write(string name, string text)
    {
        var path = System.IO.Path.Combine(Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose()
    {
        _remover.StandardInput.Close();
        _remover.WaitForExit();
        _remover.Dispose();
    }
}
