using System.Globalization;

namespace Exporter.Kubernetes;

/// <summary>When the node was started.</summary>
internal static class BootTime
{
    private const string Uptime = "/proc/uptime";

    /// <summary>
    /// Reads the time by the node's present clock, from the seconds since the boot, suspended ones included (proc_uptime(5)). If they cannot be
    /// read, it is <see cref="DateTimeOffset.MinValue"/>.
    /// </summary>
    internal static DateTimeOffset Read(TimeProvider time)
    {
        try
        {
            var text = File.ReadAllText(Uptime).Split(' ')[0];
            return double.TryParse(text, CultureInfo.InvariantCulture, out var seconds) ? time.GetUtcNow() - TimeSpan.FromSeconds(seconds) : DateTimeOffset.MinValue;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return DateTimeOffset.MinValue;
        }
    }
}
