using System.Formats.Tar;
using System.IO.Compression;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Exporter.Chart.Tests.Support;
using Exporter.Kernel.Tests.Support;
using Exporter.Tests.Kubernetes;

namespace Exporter.Kernel.Tests;

/// <summary>The image that scripts/image.sh makes of the binary, what is in it, and how it runs as the chart says.</summary>
public sealed class ImageTests : IClassFixture<ImageTests.BuiltImage>
{
    private readonly BuiltImage _image;

    public ImageTests(BuiltImage image) => _image = image;

    [Fact]
    public void The_same_binary_and_packages_give_the_same_image()
    {
        using var elsewhere = new TemporaryDirectory();
        var copy = CopyWithLibrary(ExporterProcess.Binary, elsewhere.Path);
        File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        File.SetLastWriteTimeUtc(copy, new DateTime(2001, 1, 1, 0, 0, 0, DateTimeKind.Utc));

        BuiltImage.Build(copy, Path.Combine(elsewhere.Path, "image.tar"));

        Assert.Equal(File.ReadAllBytes(_image.Archive), File.ReadAllBytes(Path.Combine(elsewhere.Path, "image.tar")));
    }

    [Fact]
    public void Another_binary_gives_another_image()
    {
        using var elsewhere = new TemporaryDirectory();
        BuiltImage.Build(CopyWithLibrary("/bin/true", elsewhere.Path), Path.Combine(elsewhere.Path, "image.tar"));

        Assert.NotEqual(File.ReadAllBytes(_image.Archive), File.ReadAllBytes(Path.Combine(elsewhere.Path, "image.tar")));
    }

    [Fact]
    public void A_binary_that_needs_a_newer_glibc_than_is_documented_is_refused_with_the_function_that_needs_it()
    {
        using var files = new TemporaryDirectory();
        var (source, binary) = (Path.Combine(files.Path, "newer.c"), Path.Combine(files.Path, "newer"));
        // arc4random came with glibc 2.36.
        File.WriteAllText(source, "unsigned arc4random(void);\nint main(void) { return arc4random() & 1; }\n");
        Shell.Run("clang", "-o", binary, source);

        var (exitCode, _, error) = Shell.TryRun(Path.Combine(Repository.Root, "scripts", "image.sh"), binary, Path.Combine(files.Path, "image.tar"));

        Assert.NotEqual(0, exitCode);
        Assert.Contains("needs glibc 2.36, for arc4random", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_in_it_can_be_run_but_the_program()
    {
        var executables = _image.Files.Where(file => (file.Mode & UnixFileMode.UserExecute) != 0).Select(file => Path.GetFileName(file.Name));

        string[] libraries = ["libc.so.6", "libcrypto.so.3", "libdl.so.2", "libm.so.6", "libpthread.so.0", "librdkafka.so", "librt.so.1", "libssl.so.3"];
        Assert.Equal([.. libraries, "podnet-exporter"], executables.Where(name => !name.StartsWith("ld-linux-", StringComparison.Ordinal)).Order());
        Assert.DoesNotContain(_image.Files, file => (file.Mode & (UnixFileMode.SetUser | UnixFileMode.SetGroup)) != 0);
    }

    [Fact]
    public void Every_file_belongs_to_root_and_has_no_time_of_its_own()
    {
        Assert.NotEmpty(_image.Files);
        Assert.All(_image.Files, file => Assert.Equal((0, 0, DateTimeOffset.UnixEpoch), (file.Uid, file.Gid, file.ModificationTime)));
    }

    [Fact]
    public void Its_libraries_packages_are_listed_for_scanners_with_their_licences()
    {
        var packages = _image.Files.Where(file => file.Name.StartsWith("./var/lib/dpkg/status.d/", StringComparison.Ordinal)).Select(file => Path.GetFileName(file.Name)).ToList();

        Assert.Superset(new HashSet<string> { "libbpf-dev", "libc6", "libelf-dev" }, packages.ToHashSet());
        Assert.Contains(packages, package => package.StartsWith("libssl3", StringComparison.Ordinal));
        Assert.All(packages, package => Assert.Contains(_image.Files, file => file.Name == $"./usr/share/doc/{package}/copyright"));
    }

    [Fact]
    public void Its_bill_of_materials_has_its_packages_of_NuGet_and_of_Debian_and_is_the_same_again()
    {
        using var files = new TemporaryDirectory();
        var (first, second) = (Path.Combine(files.Path, "first.json"), Path.Combine(files.Path, "second.json"));
        foreach (var file in new[] { first, second })
        {
            // No network is in reach here, and what a restore has kept of the registry's answers may be too old to be used.
            Shell.Run("env", $"NUGET_HTTP_CACHE_PATH={files.Path}", Path.Combine(Repository.Root, "scripts", "sbom.sh"), _image.Archive, file);
        }

        var components = JsonNode.Parse(File.ReadAllText(first))!["components"]!.AsArray().Select(component => (string)component!["purl"]!).ToList();
        Assert.Contains(components, component => component.StartsWith("pkg:nuget/prometheus-net.AspNetCore@", StringComparison.Ordinal));
        Assert.Contains(components, component => component.StartsWith("pkg:nuget/YamlDotNet@", StringComparison.Ordinal));
        foreach (var package in _image.Files.Where(file => file.Name.StartsWith("./var/lib/dpkg/status.d/", StringComparison.Ordinal)).Select(file => Path.GetFileName(file.Name)))
        {
            Assert.Single(components, component => component.StartsWith("pkg:deb/", StringComparison.Ordinal) && component.Contains($"/{package}@", StringComparison.Ordinal));
        }
        Assert.Equal(File.ReadAllText(first), File.ReadAllText(second));
    }

    [Fact]
    public void It_is_described_as_the_last_stage_of_the_Dockerfile()
    {
        var configuration = _image.Configuration["config"]!;

        Assert.Equal("""["/usr/bin/podnet-exporter"]""", configuration["Entrypoint"]!.ToJsonString());
        Assert.Equal("""{"9969/tcp":{}}""", configuration["ExposedPorts"]!.ToJsonString());
        Assert.Equal("0", (string?)configuration["User"]);
        Assert.Equal("podnet-exporter", (string?)configuration["Labels"]!["org.opencontainers.image.title"]);
        Assert.Equal(ExporterProcess.Run("version").Output.Trim().Split(' ', '+')[1], (string?)configuration["Labels"]!["org.opencontainers.image.version"]);
    }

    [Fact]
    public async Task With_the_chart_s_security_context_it_counts_a_pod_of_the_cluster_to_the_packet()
    {
        Helm.Require();
        await using var server = await ApiServer.CreateAsync();
        using var containerd = new Containerd();
        var image = containerd.Import(_image.Archive);
        var port = ExporterProcess.FreePort();
        var manifest = RenderFor(port);
        using var exporter = await ExporterProcess.StartCommandAsync(port, containerd.RunCommand(image, manifest, server.Files.ServiceAccount, EnvironmentOf(server)));
        AssertConfined(manifest, port);
        using var pod = await exporter.AddPodAsync();
        server.Cluster.Add(new("shop", "web-0") { NodeName = KubernetesNode.Name, StartTime = DateTimeOffset.UtcNow.AddMinutes(-1) });
        server.Cluster.SetStatus("shop", "web-0", "Running", [$"{pod.Address}"]);

        TestTraffic.Tcp(pod, AddressFamily.InterNetwork, 1 << 20);
        TestTraffic.Udp(pod, AddressFamily.InterNetworkV6, 500, 1000, fromPod: true);

        await exporter.ScrapeUntilAsync(samples => pod.ReadCounters() is var counted && counted.TransmittedPackets > 500 && counted.IsCountedAs(samples.Traffic("web-0")));
        var samples = await exporter.ScrapeUntilAsync(samples => samples.Sum("podnet_tcp_handshake_duration_seconds_count", "pod=\"web-0\"", "role=\"server\"") == 1);
        Assert.Equal(1, samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"]);
        Assert.Equal(System.Net.HttpStatusCode.OK, (await exporter.RequestAsync("/readyz")).StatusCode);
        Assert.Equal(0, exporter.Terminate());
    }

    [Fact]
    public async Task With_the_chart_s_volumes_the_next_one_goes_on_where_it_was()
    {
        Helm.Require();
        await using var server = await ApiServer.CreateAsync();
        // Before containerd, which has the mounts that were there when it was started.
        using var node = new PinnedNode();
        using var containerd = new Containerd();
        using var options = new TemporaryDirectory();
        var image = containerd.Import(_image.Archive);
        var port = ExporterProcess.FreePort();
        var manifest = Helm.RenderWith($"options.Server.Urls=http://127.0.0.1:{port}", "liveOptions.Drain.Interval=00:00:00.1");
        foreach (var (name, content) in manifest["ConfigMap"]["data"]!.AsObject())
        {
            File.WriteAllText(Path.Combine(options.Path, name), (string)content!);
        }
        var volumes = new Dictionary<string, string> { ["bpffs"] = node.MountPoint, ["options"] = options.Path };
        Task<ExporterProcess> StartAsync() =>
            ExporterProcess.StartCommandAsync(port, containerd.RunCommand(image, manifest, server.Files.ServiceAccount, EnvironmentOf(server), volumes: volumes));
        using var pod = new Pod();
        server.Cluster.Add(new("shop", "web-0") { NodeName = KubernetesNode.Name, StartTime = DateTimeOffset.UtcNow.AddMinutes(-1) });
        using (var first = await StartAsync())
        {
            await first.WaitForAttachedAsync(pod.Interface);
            pod.Up();
            server.Cluster.SetStatus("shop", "web-0", "Running", [$"{pod.Address}"]);
            TestTraffic.Udp(pod, AddressFamily.InterNetwork, 500, 1000, fromPod: true);
            await first.ScrapeUntilAsync(samples => samples.Traffic("web-0").TransmittedPackets > 500 && pod.ReadCounters().IsCountedAs(samples.Traffic("web-0")));
            Assert.True((await first.ScrapeAsync())["podnet_exporter_pinned"] == 1, string.Join('\n', first.Log));
            Assert.Equal(0, first.Terminate());
        }
        TestTraffic.Udp(pod, AddressFamily.InterNetwork, 500, 1000, fromPod: true);

        using var second = await StartAsync();

        await second.ScrapeUntilAsync(samples => samples.Traffic("web-0").TransmittedPackets > 1000 && pod.ReadCounters().IsCountedAs(samples.Traffic("web-0")));
        Assert.Contains(second.Log, line => line.Contains("Resumed 1 interfaces", StringComparison.Ordinal));
        Assert.Equal(0, second.Terminate());
    }

    /// <summary>The image has no authorities of its own.</summary>
    [Fact]
    public async Task With_a_mounted_bundle_it_trusts_the_authorities_in_it()
    {
        Helm.Require();
        await using var server = await ApiServer.CreateAsync();
        using var containerd = new Containerd();
        using var cluster = new TemporaryDirectory();
        File.Copy(server.Files.Authority, Path.Combine(cluster.Path, "bundle.crt"));
        File.WriteAllLines(Path.Combine(cluster.Path, "kubeconfig"), File.ReadLines(server.Files.Kubeconfig).Where(line => !line.Contains("certificate-authority", StringComparison.Ordinal)));
        var image = containerd.Import(_image.Archive);
        var port = ExporterProcess.FreePort();
        var manifest = RenderFor(
            port, "options.Kubernetes.Kubeconfig=/etc/cluster/kubeconfig", "extraEnv[0].name=SSL_CERT_FILE", "extraEnv[0].value=/etc/cluster/bundle.crt",
            "extraVolumes[0].name=cluster", "extraVolumes[0].hostPath.path=/etc/cluster", "extraVolumeMounts[0].name=cluster", "extraVolumeMounts[0].mountPath=/etc/cluster");

        using var exporter = await ExporterProcess.StartCommandAsync(
            port,
            containerd.RunCommand(image, manifest, server.Files.ServiceAccount, EnvironmentOf(server), volumes: new Dictionary<string, string> { ["cluster"] = cluster.Path }));

        await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_kubernetes_watch_up{resource=\"pods\"}"] == 1);
        Assert.Equal(0, exporter.Terminate());
    }

    [Fact]
    public async Task Under_a_profile_that_wants_SYS_ADMIN_for_bpf_it_says_so_and_runs_with_the_switch_for_older_kernels()
    {
        Helm.Require();
        await using var server = await ApiServer.CreateAsync();
        using var containerd = new Containerd();
        using var files = new TemporaryDirectory();
        var image = containerd.Import(_image.Archive);
        var port = ExporterProcess.FreePort();

        var (plain, older) = (RenderFor(port), RenderFor(port, "capabilities.olderKernels=true"));
        var command = containerd.RunCommand(image, plain, server.Files.ServiceAccount, EnvironmentOf(server), WriteProfile(files.Path, plain));
        var (exitCode, _, error) = Shell.TryRun(command[0], command[1..]);

        Assert.Equal(3, exitCode);
        Assert.Contains("EPERM", error, StringComparison.Ordinal);
        Assert.Contains("\nA seccomp filter refuses bpf(2)", error, StringComparison.Ordinal);
        Assert.DoesNotContain("libbpf:", error, StringComparison.Ordinal);

        using var exporter = await ExporterProcess.StartCommandAsync(port, containerd.RunCommand(image, older, server.Files.ServiceAccount, EnvironmentOf(server), WriteProfile(files.Path, older)));
        AssertConfined(older, port);
        using var pod = await exporter.AddPodAsync();
    }

    private static Manifest RenderFor(int port, params string[] values) =>
        Helm.RenderWith([$"options.Server.Urls=http://127.0.0.1:{port}", "options.Drain.Interval=00:00:00.1", "options.Bpf.PinDirectory=", "options.Options.File=", .. values]);

    /// <summary>What the kubelet and the downward API say.</summary>
    private static IEnumerable<string> EnvironmentOf(ApiServer server) =>
        ["KUBERNETES_SERVICE_HOST=127.0.0.1", $"KUBERNETES_SERVICE_PORT={server.Port}", $"NODE_NAME={KubernetesNode.Name}", "NODE_IP=127.0.0.1"];

    /// <summary>The running process has what the manifest says, and nothing else.</summary>
    private static void AssertConfined(Manifest manifest, int port)
    {
        var directory = Directory.GetDirectories("/proc").Single(path => IsProgram(path, port));
        var status = File.ReadLines(Path.Combine(directory, "status")).Select(line => line.Split(':', 2)).ToDictionary(parts => parts[0], parts => parts[1].Trim());
        var mask = Containerd.CapabilitiesHere(manifest).Aggregate(0UL, (bits, name) => bits | (1UL << (int)Enum.Parse<CapabilityNumber>(name)));
        Assert.Equal(
            ($"{mask:x16}", $"{mask:x16}", $"{mask:x16}", "1", "2", "0"),
            (status["CapEff"], status["CapPrm"], status["CapBnd"], status["NoNewPrivs"], status["Seccomp"], status["Uid"].Split('\t')[0]));
        var root = File.ReadLines(Path.Combine(directory, "mountinfo")).Select(line => line.Split(' ')).Single(fields => fields[4] == "/");
        Assert.StartsWith("ro", root[5], StringComparison.Ordinal);
        Assert.Equal(File.ResolveLinkTarget("/proc/self/ns/net", false)!.Name, File.ResolveLinkTarget(Path.Combine(directory, "ns", "net"), false)!.Name);
        Assert.NotEqual(File.ResolveLinkTarget("/proc/self/ns/pid", false)!.Name, File.ResolveLinkTarget(Path.Combine(directory, "ns", "pid"), false)!.Name);
    }

    private static bool IsProgram(string directory, int port)
    {
        try
        {
            return File.ReadAllText(Path.Combine(directory, "comm")).Trim() == "podnet-exporter"
                && File.ReadAllText(Path.Combine(directory, "environ")).Contains($"PODNET__Server__Urls=http://127.0.0.1:{port}", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            // No process, or one that has ended meanwhile.
            return false;
        }
    }

    /// <summary>The default profile of Podman and CRI-O, as Debian has it, for these capabilities: as OCI's specification has it.</summary>
    private static string WriteProfile(string directory, Manifest manifest)
    {
        var profile = JsonNode.Parse(File.ReadAllText("/usr/share/containers/seccomp.json"))!;
        var capabilities = manifest.AddedCapabilities.Select(name => $"CAP_{name}").ToHashSet();
        string[] architectures = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? ["arm64"] : ["amd64"];
        var rules = profile["syscalls"]!.AsArray()
            .Where(rule => Has(rule!["includes"]?["caps"], capabilities) != false && Has(rule["includes"]?["arches"], architectures) != false)
            .Where(rule => Has(rule!["excludes"]?["caps"], capabilities) != true && Has(rule["excludes"]?["arches"], architectures) != true)
            .Select(rule =>
            {
                var kept = new JsonObject { ["names"] = rule!["names"]!.DeepClone(), ["action"] = rule["action"]!.DeepClone() };
                if (rule["args"] is JsonArray { Count: > 0 } arguments)
                {
                    kept["args"] = arguments.DeepClone();
                }
                if (rule["errnoRet"] is { } number)
                {
                    kept["errnoRet"] = number.DeepClone();
                }
                return (JsonNode)kept;
            });
        var path = Path.Combine(directory, "seccomp.json");
        File.WriteAllText(path, new JsonObject
        {
            ["defaultAction"] = profile["defaultAction"]!.DeepClone(),
            ["defaultErrnoRet"] = profile["defaultErrnoRet"]?.DeepClone(),
            ["syscalls"] = new JsonArray([.. rules]),
        }.ToJsonString());
        return path;

        // Null where the rule does not say.
        static bool? Has(JsonNode? names, IEnumerable<string> present) => names is JsonArray array ? array.Any(name => present.Contains((string)name!)) : null;
    }

    /// <summary>linux/capability.h.</summary>
    private enum CapabilityNumber
    {
        NET_ADMIN = 12,
        SYS_ADMIN = 21,
        SYS_RESOURCE = 24,
        PERFMON = 38,
        BPF = 39,
    }

    /// <summary>Copies a binary, and beside it the library for Kafka with its licences, which belong into the image.</summary>
    private static string CopyWithLibrary(string binary, string directory)
    {
        foreach (var library in Directory.GetFiles(Path.GetDirectoryName(ExporterProcess.Binary)!, "librdkafka.*"))
        {
            File.Copy(library, Path.Combine(directory, Path.GetFileName(library)));
        }
        var copy = Path.Combine(directory, "copy");
        File.Copy(binary, copy);
        return copy;
    }

    /// <summary>In the build's output: what a killed run left there is in nobody's way.</summary>
    internal sealed class TemporaryDirectory : IDisposable
    {
        internal string Path { get; } = Directory.CreateDirectory(System.IO.Path.Combine(AppContext.BaseDirectory, "image-tests", Guid.NewGuid().ToString("N"))).FullName;

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }

    /// <summary>The image of the built binary.</summary>
    public sealed class BuiltImage : IDisposable
    {
        private readonly TemporaryDirectory _directory = new();

        public BuiltImage()
        {
            Build(ExporterProcess.Binary, Archive);
            var blobs = ReadEntries(File.OpenRead(Archive)).ToDictionary(entry => entry.Name, entry => entry.Content);
            var index = JsonNode.Parse(blobs["./index.json"])!;
            var manifest = JsonNode.Parse(Blob(index["manifests"]![0]!))!;
            Configuration = JsonNode.Parse(Blob(manifest["config"]!))!;
            Files = [.. ReadEntries(new GZipStream(new MemoryStream(Blob(Assert.Single(manifest["layers"]!.AsArray())!)), CompressionMode.Decompress)).Where(file => file.Type is TarEntryType.RegularFile)];

            byte[] Blob(JsonNode descriptor) => blobs["./blobs/" + ((string)descriptor["digest"]!).Replace(':', '/')];
        }

        internal string Archive => System.IO.Path.Combine(_directory.Path, "image.tar");

        internal JsonNode Configuration { get; }

        /// <summary>The regular files of its one layer.</summary>
        internal IReadOnlyList<ImageFile> Files { get; }

        internal static void Build(string binary, string archive) => Shell.Run(System.IO.Path.Combine(Repository.Root, "scripts", "image.sh"), binary, archive);

        public void Dispose() => _directory.Dispose();

        private static IEnumerable<ImageFile> ReadEntries(Stream stream)
        {
            using var reader = new TarReader(stream);
            while (reader.GetNextEntry() is { } entry)
            {
                using var content = new MemoryStream();
                entry.DataStream?.CopyTo(content);
                yield return new(entry.Name, entry.EntryType, entry.Mode, entry.Uid, entry.Gid, entry.ModificationTime, content.ToArray());
            }
        }
    }

    internal sealed record ImageFile(string Name, TarEntryType Type, UnixFileMode Mode, int Uid, int Gid, DateTimeOffset ModificationTime, byte[] Content);
}
