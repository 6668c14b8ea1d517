namespace Exporter.Signals;

/// <summary>A page of a signal, /api/v1/NAME.</summary>
/// <param name="Name">The last part of its path.</param>
/// <param name="Write">Makes its content.</param>
internal sealed record SignalPage(string Name, string ContentType, Func<byte[]> Write)
{
    internal const string Json = "application/json; charset=utf-8";
}
