namespace Exporter.Bpf;

/// <summary>The capabilities of this process.</summary>
public static class Capabilities
{
    private const int SysAdmin = 21;

    /// <summary>The needed capabilities that this process does not have in its effective set (capabilities(7)).</summary>
    public static IReadOnlyList<Capability> Missing()
    {
        const string Prefix = "CapEff:";
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(Prefix, StringComparison.Ordinal));
        var effective = Convert.ToUInt64(line[Prefix.Length..].Trim(), 16);
        return [.. Enum.GetValues<Capability>().Where(capability => !Has(effective, (int)capability) && !Includes(effective, capability))];
    }

    /// <summary>The capability's name as capabilities(7) spells it.</summary>
    public static string Name(this Capability capability) => capability switch
    {
        Capability.NetAdmin => "CAP_NET_ADMIN",
        Capability.Perfmon => "CAP_PERFMON",
        _ => "CAP_BPF",
    };

    /// <summary>CAP_SYS_ADMIN still includes what CAP_BPF and CAP_PERFMON were split from it for.</summary>
    private static bool Includes(ulong effective, Capability capability) =>
        capability is Capability.Bpf or Capability.Perfmon && Has(effective, SysAdmin);

    private static bool Has(ulong effective, int capability) => (effective >> capability & 1) != 0;
}
