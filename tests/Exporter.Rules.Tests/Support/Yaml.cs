using YamlDotNet.RepresentationModel;

namespace Exporter.Rules.Tests.Support;

/// <summary>Reads YAML without types.</summary>
internal static class Yaml
{
    internal static IReadOnlyList<YamlMappingNode> Load(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        return [.. stream.Documents.Select(document => document.RootNode).OfType<YamlMappingNode>()];
    }

    internal static YamlMappingNode LoadFile(string path) => Load(File.ReadAllText(path))[0];

    internal static YamlNode? Find(this YamlNode node, string key) => ((YamlMappingNode)node).Children.TryGetValue(new YamlScalarNode(key), out var value) ? value : null;

    internal static IEnumerable<YamlNode> List(this YamlNode node, string key) => node.Find(key) is YamlSequenceNode list ? list : [];

    internal static string? Text(this YamlNode node, string key) => (node.Find(key) as YamlScalarNode)?.Value;

    internal static IReadOnlyDictionary<string, string> Map(this YamlNode node, string key) => node.Find(key) is YamlMappingNode map
        ? map.Children.ToDictionary(entry => ((YamlScalarNode)entry.Key).Value!, entry => ((YamlScalarNode)entry.Value).Value!)
        : [];
}
