using System.Globalization;

namespace Exporter.Engine.Tests.Golden;

/// <summary>Golden traffic as files: the program `golden FOLDER [SEED [SCALE]]`.</summary>
internal static class GoldenFiles
{
    internal const string Command = "golden";

    /// <param name="arguments">The folder, and a seed and a scale if these are not 1.</param>
    internal static int Run(string[] arguments)
    {
        if (arguments is not [var folder, .. { Length: <= 2 } numbers])
        {
            Console.Error.WriteLine($"{Command} FOLDER [SEED [SCALE]]: writes records.jsonl, topic.tsv and truth.json into the folder");
            return 2;
        }
        var seed = numbers.Length > 0 ? int.Parse(numbers[0], CultureInfo.InvariantCulture) : 1;
        var scale = numbers.Length > 1 ? int.Parse(numbers[1], CultureInfo.InvariantCulture) : 1;
        Write(GoldenTraffic.Make(seed, scale), folder);
        return 0;
    }

    /// <summary>
    /// Writes records.jsonl, the lines as the file sink has them; topic.tsv, the records as a topic has them, each with its append time in milliseconds, key and
    /// value between tabs, no key as an empty one and no value without the second tab; and truth.json.
    /// </summary>
    internal static void Write(GoldenTraffic traffic, string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllLines(Path.Combine(folder, "records.jsonl"), traffic.Records.Where(record => record.Value is not null).Select(record => record.Value!));
        File.WriteAllLines(Path.Combine(folder, "topic.tsv"), traffic.Records.Select(record =>
            $"{record.Appended.ToUnixTimeMilliseconds()}\t{record.Key}{(record.Value is null ? "" : $"\t{record.Value}")}"));
        File.WriteAllText(Path.Combine(folder, "truth.json"), traffic.Truth.ToJson());
    }
}
