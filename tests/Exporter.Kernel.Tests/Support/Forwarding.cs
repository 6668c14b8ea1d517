namespace Exporter.Kernel.Tests.Support;

/// <summary>The node forwards packets of its pods, as long as this lives.</summary>
internal sealed class Forwarding : IDisposable
{
    private static readonly string[] Files = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];

    private readonly string[] _before = [.. Files.Select(File.ReadAllText)];

    internal Forwarding()
    {
        foreach (var file in Files)
        {
            File.WriteAllText(file, "1");
        }
    }

    public void Dispose()
    {
        foreach (var (file, before) in Files.Zip(_before))
        {
            File.WriteAllText(file, before);
        }
    }
}
