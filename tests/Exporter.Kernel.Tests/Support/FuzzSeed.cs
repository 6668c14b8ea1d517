namespace Exporter.Kernel.Tests.Support;

/// <summary>The seed of a test that draws at random.</summary>
internal static class FuzzSeed
{
    /// <summary>The environment's variable that repeats a failed run.</summary>
    internal const string Variable = "PODNET_FUZZ_SEED";

    /// <summary>Reads the variable, or draws a seed where it is not set.</summary>
    internal static int Choose() => EnvironmentNumber.Read(Variable) ?? Random.Shared.Next();
}
