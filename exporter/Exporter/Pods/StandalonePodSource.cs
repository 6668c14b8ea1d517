using Exporter.Bpf.Netlink;

namespace Exporter.Pods;

/// <summary>
/// Without Kubernetes: a pod is a network namespace, named as the file that keeps it, or else as its interface.
/// </summary>
internal sealed class StandalonePodSource(LinkClient client, PodLabels labels, IReadOnlyList<string> directories) : IPodSource
{
    internal const string Namespace = "standalone";

    /// <summary>Directories in which iproute2 and Docker keep their namespaces' files.</summary>
    internal static readonly IReadOnlyList<string> DefaultDirectories = ["/run/netns", "/run/docker/netns"];

    private Dictionary<int, string> _names = [];

    public string Name => Namespace;

    /// <summary>
    /// Asks for every file's namespace again, some microseconds each: names and ids both come back for other namespaces.
    /// </summary>
    public void Refresh()
    {
        var names = new Dictionary<int, string>(_names.Count);
        foreach (var path in directories.SelectMany(FilesIn))
        {
            if (FindNamespaceId(path) is { } id)
            {
                names.TryAdd(id, Path.GetFileName(path));
            }
        }
        _names = names;
    }

    /// <summary>A pod keeps the name that it was first counted under.</summary>
    public bool TakeChanges() => false;

    public PodIdentity? Identify(PodInterface owner) => labels.Identify(new(
        Namespace, owner.Link.PeerNamespaceId is { } id && _names.TryGetValue(id, out var name) ? name : owner.Name));

    public void Forget(PodInterface owner)
    {
    }

    public IEnumerable<KnownPod> GetKnownPods() => [];

    private static IEnumerable<string> FilesIn(string directory)
    {
        try
        {
            return Directory.GetFiles(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not there, or not for this user: then no namespaces are kept there that could be named.
            return [];
        }
    }

    private int? FindNamespaceId(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            return client.GetNamespaceId(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
