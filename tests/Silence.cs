namespace Exporter;

/// <summary>
/// The limit of every wait of the tests for one event that has to come. It ends a test that hangs; a slow machine does not reach it.
/// </summary>
internal static class Silence
{
    internal static TimeSpan Limit { get; } = TimeSpan.FromMinutes(3);
}
