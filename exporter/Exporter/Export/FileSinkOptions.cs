using Exporter.Options;

namespace Exporter.Export;

/// <summary>The options of the sink file.</summary>
/// <param name="Path">Empty: not set.</param>
/// <param name="MaxSize">In bytes.</param>
/// <param name="MaxFiles">With the one at the path.</param>
/// <param name="Sync">Whether lines are on the disk before they are acknowledged.</param>
internal sealed record FileSinkOptions(string Path, long MaxSize, int MaxFiles, bool Sync)
{
    internal const string PathKey = "File:Path";

    internal static FileSinkOptions Read(OptionReader reader)
    {
        var options = new FileSinkOptions(
            reader.AbsolutePath(PathKey, "an absolute path", "The file that the sink file appends records to, one JSON line each; its directory has to be there."),
            reader.Size("File:MaxSize", 100 << 20, 1 << 20, 1L << 40, "Most bytes of a file before the next one is begun; the full one becomes PATH.1, PATH.1 becomes PATH.2, and so on."),
            reader.Number("File:MaxFiles", 5, 2, 1000, "Most files, with the one at File:Path; beyond that the oldest is removed."),
            reader.Switch("File:Sync", false, "Whether records are forced to the disk (fsync) before they count as acknowledged; without it they survive the process, but not a power failure."));
        reader.RequireFilePath(options.Path, PathKey);
        return options;
    }

    /// <summary>Checks that the file's directory is there.</summary>
    internal void Check(OptionReader reader)
    {
        if (!OptionReader.IsFilePath(Path))
        {
            return;
        }
        if (Directory.Exists(Path))
        {
            reader.Refuse(PathKey, $"'{Path}' is a directory; write the path of a file in it", isOutside: true);
        }
        else if (!Directory.Exists(System.IO.Path.GetDirectoryName(Path)))
        {
            reader.Refuse(PathKey, $"the directory of '{Path}' is not there; create it", isOutside: true);
        }
    }
}
