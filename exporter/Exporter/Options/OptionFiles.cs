namespace Exporter.Options;

/// <summary>Where options come from: files, the environment, the command line, each before those that it wins over.</summary>
internal sealed class OptionFiles
{
    internal const string FileKey = "Options:File";

    private const string Prefix = "PODNET__";

    private readonly IReadOnlyDictionary<string, string?> _commandLine;

    /// <summary>The value of <see cref="FileKey"/>, which the file itself cannot set.</summary>
    private readonly string? _named;

    private readonly Files _files;

    private OptionFiles(IReadOnlyDictionary<string, string?> commandLine, string? named, Files files)
    {
        (_commandLine, _named, _files) = (commandLine, named, files);
        try
        {
            Configuration = Build(commandLine, files.Contents);
            Error = files.Error ?? (Configuration[FileKey] == named ? null : $"{FileKey}: cannot be set in a file");
        }
        catch (Exception e) when (e is FormatException or InvalidDataException or InvalidOperationException or System.Text.Json.JsonException)
        {
            Configuration = Build(commandLine, []);
            Error = $"{named ?? "appsettings.json"}: {PlainWords.Reason(e.InnerException ?? e)}";
        }
    }

    internal IConfiguration Configuration { get; }

    /// <summary>Why they cannot be read; null where they can.</summary>
    internal string? Error { get; }

    internal static OptionFiles Read(IReadOnlyDictionary<string, string?> commandLine)
    {
        var named = Build(commandLine, [])[FileKey];
        return new(commandLine, named, Files.Read(named));
    }

    /// <summary>The same one where nothing has changed in the files.</summary>
    internal OptionFiles Read() => Files.Read(_named) is var files && files.IsSame(_files) ? this : new(_commandLine, _named, files);

    private static IConfigurationRoot Build(IReadOnlyDictionary<string, string?> commandLine, IEnumerable<byte[]> layers)
    {
        var builder = new ConfigurationBuilder();
        foreach (var layer in layers)
        {
            builder.AddJsonStream(new MemoryStream(layer));
        }
        return builder.AddEnvironmentVariables(Prefix).AddInMemoryCollection(commandLine).Build();
    }

    /// <summary>What is in the files; one that is not there has nothing in it.</summary>
    private sealed record Files(IReadOnlyList<byte[]> Contents, string? Error)
    {
        /// <param name="named">Null or empty: there is none besides appsettings.json.</param>
        internal static Files Read(string? named)
        {
            var contents = new List<byte[]>();
            var beside = Path.Combine(AppContext.BaseDirectory, "appsettings.json");
            var error = TryRead(beside, contents, out var settings) || settings is FileNotFoundException or DirectoryNotFoundException ? null : $"{beside}: {settings!.Message}";
            if (!string.IsNullOrEmpty(named) && !TryRead(named, contents, out var problem))
            {
                error ??= $"{FileKey}: {problem!.Message}";
            }
            return new(contents, error);
        }

        internal bool IsSame(Files other) =>
            Error == other.Error && Contents.Count == other.Contents.Count && Contents.Zip(other.Contents).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));

        private static bool TryRead(string path, List<byte[]> contents, out Exception? problem)
        {
            try
            {
                contents.Add(File.ReadAllBytes(path));
                problem = null;
                return true;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                problem = e;
                return false;
            }
        }
    }
}
