namespace Exporter.Kernel.Tests.Support;

/// <summary>Somebody else's XDP program on an uplink, attached by `ip`, without a link.</summary>
internal sealed class ForeignXdp : IDisposable
{
    private readonly string _interface;
    private readonly string _option;

    /// <param name="option">xdpdrv or xdpgeneric.</param>
    internal ForeignXdp(UplinkWire uplink, string option)
    {
        (_interface, _option) = (uplink.Name, option);
        var path = Path.GetTempFileName();
        using (var stream = typeof(ForeignXdp).Assembly.GetManifestResourceStream("xdp.bpf.o")!)
        using (var file = File.Create(path))
        {
            stream.CopyTo(file);
        }
        // `ip` wants a BPF file system, which this namespace of mounts has for as long as the command runs.
        Shell.Run("unshare", "--mount", "sh", "-c", $"mount -t bpf bpf /sys/fs/bpf && ip link set dev {_interface} {option} obj {path} sec xdp");
        File.Delete(path);
    }

    public void Dispose() => Shell.TryRun("ip", "link", "set", "dev", _interface, _option, "off");
}
