using Exporter.Bpf;

namespace Exporter.Health;

/// <summary>
/// Files that were read together, with their content. Contents are compared, not times: the kubelet updates a volume by replacing a symbolic link
/// above the file.
/// </summary>
internal sealed class FileWatch
{
    private readonly Dictionary<string, byte[]?> _contents = new(StringComparer.Ordinal);

    /// <param name="problem">Names the file and the reason.</param>
    /// <returns>The content; null if the file cannot be read.</returns>
    internal byte[]? TryRead(string path, out string problem)
    {
        var content = TryReadNow(path, out problem);
        _contents[path] = content;
        return content;
    }

    /// <summary>Whether a file has other content than when it was read, or was created or removed since; never if one cannot be read again.</summary>
    internal bool HaveChanged() =>
        _contents.Keys.All(CanBeReadAgain)
        && _contents.Any(file => TryReadNow(file.Key, out _) is { } now ? file.Value is null || !now.AsSpan().SequenceEqual(file.Value) : file.Value is not null);

    /// <summary>Whether a file has its content for more than one reader, as a pipe of a shell does not: a second open of it would wait for a writer.</summary>
    internal static bool CanBeReadAgain(string path) => !FileType.IsStream(path);

    private static byte[]? TryReadNow(string path, out string problem)
    {
        try
        {
            problem = "";
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            problem = e switch
            {
                FileNotFoundException or DirectoryNotFoundException => $"there is no file '{path}'",
                UnauthorizedAccessException => Directory.Exists(path) ? $"'{path}' is a directory" : $"'{path}' may not be read by this user",
                _ => e.Message,
            };
            return null;
        }
    }
}
