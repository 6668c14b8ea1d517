using System.Runtime.InteropServices;

namespace Exporter.Peers;

/// <summary>One string for each name in use: namespaces and names of Services repeat in thousands of objects. Used under the store's lock.</summary>
internal sealed class PeerNames
{
    private readonly Dictionary<string, (string Name, int Uses)> _names = [];

    /// <summary>The shared string. Each call is answered by one of <see cref="Release"/>.</summary>
    internal string Take(string name)
    {
        ref var entry = ref CollectionsMarshal.GetValueRefOrAddDefault(_names, name, out var exists);
        entry = exists ? (entry.Name, entry.Uses + 1) : (name, 1);
        return entry.Name;
    }

    internal void Release(string name)
    {
        ref var entry = ref CollectionsMarshal.GetValueRefOrNullRef(_names, name);
        if (--entry.Uses == 0)
        {
            _names.Remove(name);
        }
    }
}
