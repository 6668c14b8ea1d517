using Exporter.Options;

namespace Exporter.Signals;

/// <summary>How often counters are read.</summary>
internal sealed record DrainOptions(TimeSpan Interval)
{
    internal static DrainOptions Read(OptionReader reader) => new(
        reader.Duration(
            "Drain:Interval",
            TimeSpan.FromSeconds(1),
            TimeSpan.FromMilliseconds(100),
            TimeSpan.FromMinutes(1),
            "Interval of reading the counters from the kernel.",
            isLive: true,
            isInPlace: true));
}
