namespace Exporter.Kernel.Tests.Support;

/// <summary>Somebody else's XDP program on an interface, attached by `ip`, without a link.</summary>
internal sealed class ForeignXdp : IDisposable
{
    private readonly string[] _link;

    /// <param name="option">xdp, xdpdrv or xdpgeneric.</param>
    /// <param name="ns">Where the interface is; null: here.</param>
    internal ForeignXdp(string name, string option, NetworkNamespace? ns = null)
    {
        string[] inside = ns is null ? [] : ["ip", "netns", "exec", ns.Name];
        _link = [.. inside, "ip", "link", "set", "dev", name, option];
        var path = Path.GetTempFileName();
        try
        {
            using (var stream = typeof(ForeignXdp).Assembly.GetManifestResourceStream("xdp.bpf.o")!)
            using (var file = File.Create(path))
            {
                stream.CopyTo(file);
            }
            // `ip` wants a BPF file system, which this namespace of mounts has for as long as the command runs.
            Shell.Run("unshare", ["--mount", .. inside, "sh", "-c", $"mount -t bpf bpf /sys/fs/bpf && ip link set dev {name} {option} obj {path} sec xdp"]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    public void Dispose() => Shell.TryRun(_link[0], [.. _link[1..], "off"]);
}
