using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;

namespace Exporter.Chart.Tests;

/// <summary>Where the pods are not as https://kubernetes.io/docs/concepts/security/pod-security-standards/ wants them, and why.</summary>
public sealed class PodSecurityTests
{
    /// <summary>What the levels baseline and restricted would refuse.</summary>
    private static readonly (string Deviation, string Reason)[] Deviations =
    [
        ("baseline: appArmorProfile Unconfined", "the runtimes' default one lets nobody write below /sys/fs/bpf"),
        ("baseline: capability BPF", "to load BPF programs and make maps"),
        ("baseline: capability NET_ADMIN", "to attach programs to interfaces, and to be told of namespaces"),
        ("baseline: capability PERFMON", "programs for tracing, and those that follow pointers of the kernel"),
        ("baseline: hostNetwork", "the pods' interfaces are in the node's network namespace, and only there"),
        ("baseline: hostPort 9969", "a port of a pod on the host's network is the host's"),
        ("baseline: volume hostPath", "/sys/fs/bpf, where BPF programs and their counts outlive the exporter"),
        ("restricted: capability BPF", "as above"),
        ("restricted: capability NET_ADMIN", "as above"),
        ("restricted: capability PERFMON", "as above"),
        ("restricted: runAsNonRoot", "Kubernetes sets no ambient capabilities: a program that another user runs would have none"),
        ("restricted: runAsUser 0", "as above"),
        ("restricted: volume hostPath", "as above"),
    ];

    /// <summary>What older kernels and some runtimes need besides.</summary>
    private static readonly (string Deviation, string Reason)[] MoreOnOlderKernels =
    [
        ("baseline: capability SYS_ADMIN", "bpf(2) where CAP_BPF is not known to the kernel or the runtime's seccomp profile"),
        ("baseline: capability SYS_RESOURCE", "to raise RLIMIT_MEMLOCK, which limits BPF maps before Linux 5.11"),
        ("restricted: capability SYS_ADMIN", "as above"),
        ("restricted: capability SYS_RESOURCE", "as above"),
    ];

    [Fact]
    public void The_pods_deviate_from_the_standards_in_what_is_listed_and_nothing_else() =>
        Assert.Equal(Deviations.Select(each => each.Deviation), Find(Helm.RenderWith().PodSpec));

    [Fact]
    public void On_older_kernels_they_deviate_in_two_capabilities_more() =>
        Assert.Equal(
            Deviations.Concat(MoreOnOlderKernels).Select(each => each.Deviation).Order(StringComparer.Ordinal),
            Find(Helm.RenderWith("capabilities.olderKernels=true").PodSpec));

    [Fact]
    public void Without_pins_they_mount_nothing_of_the_host_and_have_the_default_profile_of_AppArmor() =>
        Assert.Equal(
            Deviations.Select(each => each.Deviation).Where(each => !each.Contains("hostPath", StringComparison.Ordinal) && !each.Contains("appArmor", StringComparison.Ordinal)),
            Find(Helm.RenderWith("options.Bpf.PinDirectory=").PodSpec));

    [Fact]
    public void The_hook_s_pods_deviate_in_nothing_more_and_have_no_port() =>
        Assert.Equal(
            Deviations.Select(each => each.Deviation).Where(each => each != "baseline: hostPort 9969"),
            Find(Helm.RenderWith("uninstall.enabled=true", "uninstall.nodes=1")["Job"]["spec"]!["template"]!["spec"]!));

    [Fact]
    public void A_Secret_for_TLS_is_no_deviation() =>
        Assert.Equal(Deviations.Select(each => each.Deviation), Find(Helm.RenderWith("tls.existingSecret=s", "auth.existingSecret=a", "auth.bearerTokenKey=t").PodSpec));

    [Theory]
    [InlineData("privileged: true", "baseline: privileged")]
    [InlineData("allowPrivilegeEscalation: true", "restricted: allowPrivilegeEscalation")]
    [InlineData("capabilities: {drop: [NET_RAW]}", "restricted: not all capabilities dropped")]
    [InlineData("procMount: Unmasked", "baseline: procMount")]
    [InlineData("seccompProfile: {type: Unconfined}", "baseline: seccompProfile Unconfined", "restricted: seccompProfile")]
    [InlineData("appArmorProfile: {type: Unconfined}", "baseline: appArmorProfile Unconfined")]
    [InlineData("appArmorProfile: {type: Localhost, localhostProfile: p}")]
    [InlineData("seLinuxOptions: {type: spc_t}", "baseline: seLinuxOptions")]
    public void A_deviation_is_found(string securityContext, params string[] found)
    {
        const string Good = "{allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";
        var pod = Assert.Single(Yaml.Parse($"{{containers: [{{name: c, securityContext: {Good}}}]}}"));
        Assert.Empty(Find(pod));

        foreach (var (key, value) in Assert.Single(Yaml.Parse(securityContext)))
        {
            pod["containers"]![0]!["securityContext"]![key] = value?.DeepClone();
        }

        Assert.Equal(found, Find(pod));
    }

    [Theory]
    [InlineData("hostPID: true", "baseline: hostPID")]
    [InlineData("hostIPC: true", "baseline: hostIPC")]
    [InlineData("volumes: [{name: v, hostPath: {path: /}}]", "baseline: volume hostPath", "restricted: volume hostPath")]
    public void A_deviation_of_the_pod_is_found(string field, params string[] found)
    {
        var pod = Assert.Single(Yaml.Parse($"{{containers: [], {field}}}"));

        Assert.Equal(found, Find(pod));
    }

    /// <summary>The controls of the standards, as of Kubernetes 1.35.</summary>
    private static IEnumerable<string> Find(JsonNode pod)
    {
        var found = new List<string>();
        string[] namespaces = ["hostNetwork", "hostPID", "hostIPC"];
        foreach (var name in namespaces.Where(name => (bool?)pod[name] ?? false))
        {
            found.Add($"baseline: {name}");
        }
        string[] restrictedVolumes = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"];
        foreach (var kind in (pod["volumes"]?.AsArray() ?? []).Select(volume => volume!.AsObject().Single(field => field.Key != "name").Key))
        {
            if (kind == "hostPath")
            {
                found.Add($"baseline: volume {kind}");
            }
            if (!restrictedVolumes.Contains(kind))
            {
                found.Add($"restricted: volume {kind}");
            }
        }
        foreach (var container in pod["containers"]!.AsArray())
        {
            found.AddRange(FindInContainer(container!));
        }
        return found.Order(StringComparer.Ordinal);
    }

    private static IEnumerable<string> FindInContainer(JsonNode container)
    {
        string[] baselineCapabilities =
        [
            "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
        ];
        var context = container["securityContext"] ?? new JsonObject();
        if ((bool?)context["privileged"] ?? false)
        {
            yield return "baseline: privileged";
        }
        foreach (var port in (container["ports"]?.AsArray() ?? []).Select(port => (int?)port!["hostPort"] ?? 0).Where(port => port != 0))
        {
            yield return $"baseline: hostPort {port}";
        }
        foreach (var name in (context["capabilities"]?["add"]?.AsArray() ?? []).Select(name => (string)name!))
        {
            if (!baselineCapabilities.Contains(name))
            {
                yield return $"baseline: capability {name}";
            }
            if (name != "NET_BIND_SERVICE")
            {
                yield return $"restricted: capability {name}";
            }
        }
        if (!(context["capabilities"]?["drop"]?.AsArray() ?? []).Any(name => (string)name! == "ALL"))
        {
            yield return "restricted: not all capabilities dropped";
        }
        if ((string?)context["procMount"] is not (null or "Default"))
        {
            yield return "baseline: procMount";
        }
        if (context["seLinuxOptions"] is { } selinux
            && ((string?)selinux["type"] is not (null or "" or "container_t" or "container_init_t" or "container_kvm_t" or "container_engine_t") || selinux["user"] is not null || selinux["role"] is not null))
        {
            yield return "baseline: seLinuxOptions";
        }
        if ((string?)context["appArmorProfile"]?["type"] == "Unconfined")
        {
            yield return "baseline: appArmorProfile Unconfined";
        }
        var seccomp = (string?)context["seccompProfile"]?["type"];
        if (seccomp == "Unconfined")
        {
            yield return "baseline: seccompProfile Unconfined";
        }
        if (seccomp is not ("RuntimeDefault" or "Localhost"))
        {
            yield return "restricted: seccompProfile";
        }
        if ((bool?)context["allowPrivilegeEscalation"] ?? true)
        {
            yield return "restricted: allowPrivilegeEscalation";
        }
        if (!((bool?)context["runAsNonRoot"] ?? false))
        {
            yield return "restricted: runAsNonRoot";
        }
        if ((int?)context["runAsUser"] == 0)
        {
            yield return "restricted: runAsUser 0";
        }
    }
}
