using Exporter.Commands;
using Exporter.Export;
using Exporter.Options;
using Microsoft.Extensions.Configuration;

namespace Exporter.Tests.Support;

/// <summary>Options as the program reads them, from keys and values.</summary>
internal static class TestOptions
{
    internal static OptionReader Reader(params (string Key, string? Value)[] settings) =>
        new(new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, setting.Value)))
            .Build());

    internal static OptionReader JsonReader(string json) =>
        new(new ConfigurationBuilder().AddJsonStream(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json))).Build());

    /// <summary>All must be good.</summary>
    internal static ExporterOptions Read(params (string Key, string? Value)[] settings)
    {
        var reader = Reader(settings);
        var options = ExporterOptions.Read(reader);
        Assert.Empty(reader.Errors);
        return options;
    }

    /// <summary>The options of the export alone; no file or directory that they name is looked for.</summary>
    internal static ExportOptions ExportOf(params (string Key, string? Value)[] settings)
    {
        var reader = Reader(settings);
        var options = ExportOptions.Read(reader);
        Assert.Empty(reader.Errors);
        return options;
    }

    /// <summary>What is said about options, at least one of which is wrong.</summary>
    internal static IReadOnlyList<string> ErrorsOf(params (string Key, string? Value)[] settings)
    {
        var reader = Reader(settings);
        ExporterOptions.Read(reader);
        return reader.Errors;
    }
}
