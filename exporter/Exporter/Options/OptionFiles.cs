using Exporter.Health;

namespace Exporter.Options;

/// <summary>The sources of options: files, the environment and the command line. Later sources override earlier ones.</summary>
internal sealed class OptionFiles
{
    internal const string FileKey = "Options:File";

    private const string Prefix = "PODNET__";

    private readonly IReadOnlyDictionary<string, string?> _commandLine;

    /// <summary>The value of <see cref="FileKey"/>, which the file itself cannot set.</summary>
    private readonly string? _named;

    private readonly FileWatch _files = new();

    private OptionFiles(IReadOnlyDictionary<string, string?> commandLine, string? named)
    {
        (_commandLine, _named) = (commandLine, named);
        var contents = new List<byte[]>();
        var beside = Path.Combine(AppContext.BaseDirectory, "appsettings.json");
        // The file is optional, and may be created later.
        Error = ReadInto(contents, beside, beside) is { } problem && File.Exists(beside) ? problem : null;
        if (!string.IsNullOrEmpty(named))
        {
            Error = ReadInto(contents, named, FileKey) ?? Error;
        }
        try
        {
            Configuration = Build(commandLine, contents);
            Error ??= Configuration[FileKey] == named ? null : $"{FileKey}: cannot be set in a file";
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or InvalidOperationException or System.Text.Json.JsonException)
        {
            Configuration = Build(commandLine, []);
            Error = $"{named ?? "appsettings.json"}: {PlainWords.Reason(e.InnerException ?? e)}";
        }
    }

    internal IConfiguration Configuration { get; }

    /// <summary>Why the files cannot be read; null if they can.</summary>
    internal string? Error { get; }

    internal static OptionFiles Read(IReadOnlyDictionary<string, string?> commandLine)
    {
        var named = Build(commandLine, [])[FileKey];
        return new(commandLine, named);
    }

    /// <summary>Describes the option that names a file. It is read before all others, by <see cref="Read(IReadOnlyDictionary{string, string})"/>.</summary>
    internal static void Describe(OptionReader reader) =>
        reader.AbsolutePath(FileKey, "a path", "A file with options in the form of appsettings.json, which it overrides; read again when it changes; empty: no file. It cannot be set in a file.");

    /// <summary>Reads the files again if they have changed; else it returns this instance.</summary>
    internal OptionFiles Read() => _files.HaveChanged() ? new(_commandLine, _named) : this;

    /// <returns>Why the file cannot be read; null if it can.</returns>
    private string? ReadInto(List<byte[]> contents, string path, string name)
    {
        if (_files.TryRead(path, out var problem) is not { } content)
        {
            return $"{name}: {problem}";
        }
        contents.Add(content);
        return null;
    }

    private static IConfigurationRoot Build(IReadOnlyDictionary<string, string?> commandLine, IEnumerable<byte[]> layers)
    {
        var builder = new ConfigurationBuilder();
        foreach (var layer in layers)
        {
            builder.AddJsonStream(new MemoryStream(layer));
        }
        return builder.AddEnvironmentVariables(Prefix).AddInMemoryCollection(commandLine).Build();
    }
}
