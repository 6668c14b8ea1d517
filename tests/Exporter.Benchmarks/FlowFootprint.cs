using System.Buffers.Binary;
using System.Net;
using Exporter.Kernel.Tests.Support;
using Exporter.Tests.Kubernetes;

namespace Exporter.Benchmarks;

/// <summary>What the binary itself takes on a full node with flows and edges, in a cluster with many Services.</summary>
internal static class FlowFootprint
{
    private const string Node = "worker-1";
    private const int Pods = 250;
    private const int FlowsPerPod = 80;

    /// <summary>Services that a pod talks to, each by four connections.</summary>
    private const int PeersPerPod = 20;
    private const int Services = 2_000;

    /// <summary>Addresses of each Service, all in one slice.</summary>
    private const int Endpoints = 5;

    /// <summary>As many lines of edges as bring the whole near 20,000.</summary>
    private const int EdgeSeries = 10_000;

    private const int Rounds = 30;

    internal static async Task RunAsync()
    {
        Table.Begin("A node with flows and edges");
        await using var server = await ApiServer.CreateAsync();
        Serve(server);
        var pods = Enumerable.Range(0, Pods).Select(_ => new Pod().Up()).ToList();
        var directory = Directory.CreateTempSubdirectory("podnet-bench-");
        try
        {
            foreach (var (pod, i) in pods.Select((pod, i) => (pod, i)))
            {
                server.Cluster.Add(new("bench", $"pod-{i}") { NodeName = Node, StartTime = DateTimeOffset.UtcNow.AddHours(-1) });
                server.Cluster.SetStatus("bench", $"pod-{i}", "Running", $"{pod.Address}");
            }
            using var exporter = await ExporterProcess.StartAsync(
                $"--Kubernetes:Kubeconfig={server.Files.Kubeconfig}", $"--Kubernetes:NodeName={Node}", "--Flows:Enabled=true", "--Edges:Level=workload",
                "--Edges:Classes=pods=10.0.0.0/8", $"--Edges:MaxSeries={EdgeSeries}", "--Metrics:MaxSeries=40000", "--Export:Sinks=file", $"--File:Path={directory.FullName}/flows.json");
            await exporter.ScrapeUntilAsync(samples => samples["podnet_exporter_interfaces{state=\"attached\"}"] == Pods);
            var sockets = pods.ConvertAll(pod => FrameSocket.Open(pod.Namespace, "eth0"));
            for (var round = 0; round < Rounds; round++)
            {
                SendRound(pods, sockets);
                await exporter.GetAsync("/metrics");
                await Task.Delay(TimeSpan.FromSeconds(1));
            }
            sockets.ForEach(socket => socket.Dispose());
            var samples = await exporter.ScrapeAsync();
            var series = samples["podnet_exporter_series"];
            Table.Row($"resident memory: {Pods} pods, {Pods * FlowsPerPod} flows, {series} series, {Services} Services with {Services * Endpoints} endpoints", Footprint.ResidentKilobytes(exporter.Id) / 1024.0, " MiB", most: 80);
        }
        finally
        {
            pods.ForEach(pod => pod.Dispose());
            directory.Delete(recursive: true);
        }
    }

    /// <summary>A packet of each flow: of each pod to its Services' endpoints.</summary>
    private static void SendRound(List<Pod> pods, List<FrameSocket> sockets)
    {
        var frame = Packet.Ethernet().Ipv4().Udp().Bytes(64).ToArray();
        const int Source = 26, Destination = 30, Ports = 34;
        for (var i = 0; i < pods.Count; i++)
        {
            pods[i].Address.GetAddressBytes().CopyTo(frame, Source);
            for (var flow = 0; flow < FlowsPerPod; flow++)
            {
                var service = (i + (flow % PeersPerPod * (Services / PeersPerPod))) % Services;
                EndpointOf(service, flow % Endpoints).GetAddressBytes().CopyTo(frame, Destination);
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ports), (ushort)(40_000 + flow));
                BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(Ports + 2), 80);
                sockets[i].Send(frame);
            }
        }
    }

    private static IPAddress EndpointOf(int service, int number) => new([10, 100, (byte)(((service * Endpoints) + number) / 250), (byte)(1 + (((service * Endpoints) + number) % 250))]);

    private static void Serve(ApiServer server)
    {
        var services = new ServedObjects(server, "/api/v1/services", "ServiceList");
        var slices = new ServedObjects(server, "/apis/discovery.k8s.io/v1/endpointslices", "EndpointSliceList");
        _ = new ServedObjects(server, "/api/v1/nodes", "NodeList");
        for (var number = 0; number < Services; number++)
        {
            var endpoints = Enumerable.Range(0, Endpoints).Select(i => $$"""{"addresses":["{{EndpointOf(number, i)}}"]}""");
            services.Set($"bench/service-{number}", $$"""
                "spec":{"clusterIP":"10.96.{{number / 250}}.{{1 + (number % 250)}}","ports":[{"port":80,"protocol":"TCP"}]}
                """.Trim());
            slices.Set(
                $"bench/service-{number}-x",
                $$"""
                "endpoints":[{{string.Join(',', endpoints)}}],"ports":[{"port":80,"protocol":"UDP"}]
                """.Trim(),
                $$"""{"kubernetes.io/service-name":"service-{{number}}"}""");
        }
    }
}
