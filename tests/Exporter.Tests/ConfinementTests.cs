using Exporter.Bpf;
using Exporter.Bpf.Native;

namespace Exporter.Tests;

/// <summary>What refuses bpf(2), read from files as Fedora, Debian and containers on them have them.</summary>
public sealed class ConfinementTests : IDisposable
{
    private const string Filtered = "Name:\tpodnet-exporter\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";
    private const string Unfiltered = "Name:\tpodnet-exporter\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n";

    private readonly string _root = Directory.CreateTempSubdirectory("podnet-root-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData("system_u:system_r:container_t:s0:c12,c345\0", "1", "system_u:system_r:container_t:s0:c12,c345")]
    [InlineData("system_u:system_r:container_t:s0:c12,c345\0", null, "system_u:system_r:container_t:s0:c12,c345")]
    [InlineData("system_u:system_r:container_t:s0:c12,c345\0", "0", null)]
    [InlineData("unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023", "1", "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023")]
    [InlineData("unconfined\n", null, null)]
    [InlineData("", null, null)]
    public void SELinux_is_known_by_the_context_and_by_whether_it_is_enforced(string label, string? enforce, string? context)
    {
        Write("proc/self/attr/current", label);
        Write("sys/fs/selinux/enforce", enforce);

        var confinement = Confinement.Read(_root);

        Assert.Equal((context, null), (confinement.SeLinuxContext, confinement.AppArmorProfile));
        Assert.Equal(context is not null, confinement.Suspects(reachesKernel: true).Any(line => line.Contains($"SELinux is enforced, and this process is {context}", StringComparison.Ordinal)
            && line.Contains("seLinuxOptions", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("cri-containerd.apparmor.d (enforce)\n", null, "cri-containerd.apparmor.d (enforce)")]
    [InlineData("lxc-1_</var/lib/lxc>:unconfined (enforce)\n", null, "lxc-1_</var/lib/lxc>:unconfined (enforce)")]
    [InlineData("docker-default (complain)\n", null, null)]
    [InlineData("unconfined\n", null, null)]
    [InlineData("system_u:system_r:spc_t:s0", "docker-default (enforce)\n", "docker-default (enforce)")]
    public void AppArmor_is_known_by_a_profile_that_is_enforced(string current, string? stacked, string? profile)
    {
        Write("proc/self/attr/current", current);
        Write("proc/self/attr/apparmor/current", stacked);

        var confinement = Confinement.Read(_root);

        Assert.Equal(profile, confinement.AppArmorProfile);
        Assert.Equal(profile is not null, confinement.Suspects(reachesKernel: true).Any(line => line.Contains($"AppArmor confines this process with the profile {profile}", StringComparison.Ordinal)
            && line.Contains("appArmorProfile", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(Filtered, false, true)]
    [InlineData(Filtered, true, false)]
    [InlineData(Unfiltered, false, false)]
    public void A_seccomp_filter_is_named_only_where_it_is_what_refuses(string status, bool reachesKernel, bool isNamed)
    {
        Write("proc/self/status", status);

        Assert.Equal(isNamed, Confinement.Read(_root).Suspects(reachesKernel).Any(line => line.StartsWith("A seccomp filter", StringComparison.Ordinal)));
    }

    [Fact]
    public void Where_nothing_is_known_the_security_modules_are_named()
    {
        Write("sys/kernel/security/lsm", "lockdown,capability,bpf\n");

        Assert.Contains("lockdown,capability,bpf", Assert.Single(Confinement.Read(_root).Suspects(reachesKernel: true)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Errno.EPERM, "libbpf: Error in bpf_object__probe_loading():Operation not permitted(1). Couldn't load trivial BPF program.\n")]
    [InlineData(Errno.EACCES, "libbpf: map 'traffic': failed to create: Permission denied(-13)\n")]
    [InlineData(Errno.EINVAL, "libbpf: failed to find valid kernel BTF\nlibbpf: Error loading vmlinux BTF: -3\n")]
    [InlineData(Errno.EACCES, "libbpf: prog 'transmit': BPF program load failed: Permission denied\nlibbpf: prog 'transmit': -- BEGIN PROG LOAD LOG --\nR1 invalid mem access 'scalar'\n-- END PROG LOAD LOG --\nlibbpf: failed to load object 'pod_traffic'\n")]
    public void No_message_has_raw_lines_of_libbpf(int errno, string log)
    {
        var refusal = new BpfException("load the BPF object pod_traffic", errno, log);

        Assert.DoesNotContain("libbpf:", refusal.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("libbpf:", refusal.Log, StringComparison.Ordinal);
        Assert.Equal(log.Contains("BEGIN PROG", StringComparison.Ordinal), refusal.IsOfVerifier);
        Assert.Equal(refusal.IsOfVerifier, refusal.Message.Contains("invalid mem access", StringComparison.Ordinal));
        Assert.Equal(errno == Errno.EINVAL, refusal.Message.Contains("valid kernel BTF", StringComparison.Ordinal));
    }

    private void Write(string path, string? text)
    {
        if (text is not null)
        {
            var file = Path.Combine(_root, path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, text);
        }
    }
}
