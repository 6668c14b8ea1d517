using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Exporter.Tests.Support;

/// <summary>A request that a server got.</summary>
internal sealed record SearchRequest(string Method, string Target, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    internal bool IsBulk => Target.StartsWith("/_bulk", StringComparison.Ordinal);

    /// <summary>The lines of a bulk.</summary>
    internal string[] Lines
    {
        get
        {
            using var zipped = new GZipStream(new MemoryStream(Body), CompressionMode.Decompress);
            using var text = new StreamReader(zipped, Encoding.UTF8);
            var lines = text.ReadToEnd();
            Assert.EndsWith("\n", lines, StringComparison.Ordinal);
            return lines.Split('\n')[..^1];
        }
    }

    /// <summary>The ids of a bulk's records.</summary>
    internal string[] Ids => [.. Lines.Where((_, i) => i % 2 == 0).Select(line => JsonNode.Parse(line)!["create"]!["_id"]!.GetValue<string>())];
}
