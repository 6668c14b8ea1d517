namespace Exporter.Kernel.Tests.Support;

/// <summary>Options that shape records, for exporters of which each may have others than the one before.</summary>
internal static class ChangingOptions
{
    /// <summary>Has the number of <see cref="Lives"/>.</summary>
    internal const string LivesVariable = "PODNET_FLOW_KILLS";

    private static readonly string[][] Values =
    [
        ["--Flows:Sampling=1", "--Flows:Sampling=4"],
        ["--Flows:Aggregate=connection", "--Flows:Aggregate=service-port", "--Flows:Aggregate=workload", "--Flows:Aggregate=none"],
        ["--Flows:Interval=00:00:00.2", "--Flows:Interval=00:00:00.7"],
        ["--Flows:MaxFlows=32768", "--Flows:MaxFlows=4096"],
        ["--Flows:Addresses=full", "--Flows:Addresses=prefix", "--Flows:Addresses=none"],
    ];

    /// <summary>How many exporters are started and killed, one after the other.</summary>
    internal static int Lives { get; } = EnvironmentNumber.Read(LivesVariable) ?? 8;

    internal static string[] First => [.. Values.Select(values => values[0])];

    /// <summary>Half of the exporters have the options of the one before: then an interval is written again.</summary>
    internal static string[] Next(Random random, string[] before) =>
        random.Next(2) == 0 ? before : [.. Values.Select(values => values[random.Next(values.Length)])];
}
