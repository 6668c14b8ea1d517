using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;

namespace Exporter.Kernel.Tests.Support;

/// <summary>
/// A containerd of the test's own, in a process namespace of its own: it and its containers end with the test, however that ends. Containers
/// are in the network namespace of the test.
/// </summary>
internal sealed class Containerd : IDisposable
{
    /// <summary>What containerd gives a container of which nothing is said (oci.WithDefaultSpec).</summary>
    private static readonly string[] DefaultCapabilities =
    [
        "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
    ];

    /// <summary>
    /// Runs until its input ends, which it does with the test. /sys is mounted anew for the namespace of the test, without the cgroups that runc wants; below it is the
    /// machine's. Prints a line when it listens.
    /// </summary>
    private const string Script = """
        [ -n "$(ls /sys/fs/cgroup)" ] || umount /sys
        containerd --config "$1/config.toml" >"$1/log" 2>&1 &
        daemon=$!
        until ctr --address "$1/socket" version >/dev/null 2>&1; do kill -0 $daemon || exit 1; done
        echo ready
        cat >/dev/null
        for container in $(ctr --address "$1/socket" tasks list --quiet); do
            ctr --address "$1/socket" tasks delete --force "$container" >/dev/null 2>&1
        done
        kill $daemon
        wait $daemon
        rm -rf "$1"
        """;

    private readonly string _directory = Directory.CreateTempSubdirectory("podnet-containerd-").FullName;
    private readonly Process _process;
    private int _containers;

    internal Containerd()
    {
        File.WriteAllText(Path.Combine(_directory, "config.toml"), $"""
            version = 2
            root = "{_directory}/root"
            state = "{_directory}/state"
            disabled_plugins = ["io.containerd.grpc.v1.cri"]
            [grpc]
            address = "{Socket}"
            [ttrpc]
            address = "{Socket}.ttrpc"
            """);
        _process = Process.Start(new ProcessStartInfo("unshare", ["--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", Script, "sh", _directory])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        if (_process.StandardOutput.ReadLine() != "ready")
        {
            var log = File.ReadAllText(Path.Combine(_directory, "log"));
            Dispose();
            throw new InvalidOperationException($"containerd did not start: {log}");
        }
    }

    private string Socket => Path.Combine(_directory, "socket");

    /// <summary>Takes an image from an archive, and returns its name.</summary>
    internal string Import(string archive)
    {
        Control("images", "import", "--snapshotter", "native", archive);
        return Control("images", "list", "--quiet").Trim();
    }

    /// <summary>The command that runs the image as the DaemonSet of this manifest says.</summary>
    /// <param name="serviceAccount">The directory that is mounted for the ServiceAccount's token.</param>
    /// <param name="environment">What Kubernetes says besides, as NAME=value.</param>
    /// <param name="seccomp">A profile in place of containerd's own.</param>
    /// <param name="volumes">The directories that stand for the node's and the kubelet's volumes, by their names; the others are not mounted.</param>
    internal string[] RunCommand(
        string image, Manifest manifest, string serviceAccount, IEnumerable<string> environment, string? seccomp = null, IReadOnlyDictionary<string, string>? volumes = null)
    {
        var context = manifest.SecurityContext;
        // What ctr cannot be told otherwise is as it does anyway: a wrong value must not go unseen.
        Assert.Equal((false, 0), ((bool)context["privileged"]!, (int)context["runAsUser"]!));
        Assert.Equal("RuntimeDefault", (string?)context["seccompProfile"]!["type"]);
        Assert.Equal("ALL", (string?)Assert.Single(context["capabilities"]!["drop"]!.AsArray()));
        Assert.True((bool)manifest.PodSpec["hostNetwork"]!);
        var capabilities = CapabilitiesHere(manifest).ToList();
        return
        [
            "ctr", "--address", Socket, "run", "--rm", "--snapshotter", "native", "--cgroup", "", "--net-host",
            "--seccomp", .. seccomp is null ? Array.Empty<string>() : ["--seccomp-profile", seccomp],
            .. (bool)context["readOnlyRootFilesystem"]! ? ["--read-only"] : Array.Empty<string>(),
            .. (bool)context["allowPrivilegeEscalation"]! ? ["--allow-new-privs"] : Array.Empty<string>(),
            .. DefaultCapabilities.Except(capabilities).SelectMany(name => new[] { "--cap-drop", $"CAP_{name}" }),
            .. capabilities.SelectMany(name => new[] { "--cap-add", $"CAP_{name}" }),
            "--memory-limit", $"{ParseMemory((string)manifest.Container["resources"]!["limits"]!["memory"]!)}",
            "--mount", $"type=bind,src={serviceAccount},dst=/var/run/secrets/kubernetes.io/serviceaccount,options=rbind:ro",
            .. (volumes ?? new Dictionary<string, string>()).SelectMany(volume => new[] { "--mount", MountOf(manifest.Mount(volume.Key)!, volume.Value) }),
            .. manifest.Environment.Select(variable => $"{variable.Key}={variable.Value}").Concat(environment).SelectMany(variable => new[] { "--env", variable }),
            image, $"podnet-{Environment.ProcessId}-{Interlocked.Increment(ref _containers)}",
        ];
    }

    /// <summary>The added capabilities, as far as this machine's root has them itself: some build machines' lack SYS_RESOURCE.</summary>
    internal static IEnumerable<string> CapabilitiesHere(Manifest manifest) =>
        manifest.AddedCapabilities.Where(name => name != "SYS_RESOURCE" || Shell.TryRun("setpriv", "--inh-caps", "+sys_resource", "true").ExitCode == 0);

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    private static string MountOf(JsonNode mount, string directory) =>
        $"type=bind,src={directory},dst={mount["mountPath"]},options=rbind:{(mount["readOnly"] is { } isReadOnly && (bool)isReadOnly ? "ro" : "rw")}";

    private static long ParseMemory(string quantity) =>
        quantity.EndsWith("Mi", StringComparison.Ordinal) ? long.Parse(quantity[..^2], CultureInfo.InvariantCulture) << 20 : throw new FormatException($"{quantity} is not in Mi.");

    private string Control(params string[] arguments) => Shell.Run("ctr", ["--address", Socket, .. arguments]);
}
