using Exporter.Benchmarks;

// Prints the tables of docs/performance.md; with names, only those: packets, flows, records, flow-footprint, uplinks, handshakes, drain, footprint, series, attach, naming, fleet, continuity, server, and, only by name, sinks, search and soak.
if (Environment.GetEnvironmentVariable("AGAINST") is { Length: > 0 } other)
{
    await Comparison.RunAsync(Path.GetFullPath(other));
    return;
}

bool Wanted(string name) => args.Length == 0 || args.Contains(name);

if (Wanted("packets"))
{
    PacketPath.Run();
}
if (Wanted("flows"))
{
    FlowPath.Run();
}
if (Wanted("records"))
{
    await FlowRecording.RunAsync();
}
if (Wanted("flow-footprint"))
{
    await FlowFootprint.RunAsync();
}
if (Wanted("uplinks"))
{
    UplinkPath.Run();
}
if (Wanted("handshakes"))
{
    Handshakes.Run();
}
if (Wanted("drain"))
{
    Draining.Run();
}
if (Wanted("footprint"))
{
    await Footprint.RunAsync();
}
if (Wanted("series"))
{
    await Series.RunAsync();
}
if (Wanted("attach"))
{
    await Attaching.RunAsync();
}
if (Wanted("naming"))
{
    await Naming.RunAsync();
}
if (Wanted("fleet"))
{
    await Fleet.RunAsync();
}
if (Wanted("server"))
{
    await Serving.RunAsync();
}
if (Wanted("continuity"))
{
    await Continuity.RunAsync();
}
// These last for minutes, and want engines.
if (args.Contains("sinks"))
{
    await Sinks.RunAsync();
}
if (args.Contains("search"))
{
    await Sinks.RunSearchAsync();
}
if (args.Contains("soak"))
{
    await Soak.RunAsync();
}
