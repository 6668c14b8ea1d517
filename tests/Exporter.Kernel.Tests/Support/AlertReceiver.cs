using System.Net;
using System.Text.Json;
using System.Threading.Channels;

namespace Exporter.Kernel.Tests.Support;

/// <summary>An alert as Alertmanager tells it to a webhook.</summary>
/// <param name="Receiver">The last part of the address that it was told to.</param>
internal sealed record ReceivedAlert(string Receiver, string Status, IReadOnlyDictionary<string, string> Labels, IReadOnlyDictionary<string, string> Annotations);

/// <summary>What Alertmanager notifies.</summary>
internal sealed class AlertReceiver : IDisposable
{

    private readonly HttpListener _listener = new();
    private readonly Channel<ReceivedAlert> _alerts = Channel.CreateUnbounded<ReceivedAlert>();
    private readonly List<ReceivedAlert> _seen = [];

    internal AlertReceiver()
    {
        Address = new($"http://127.0.0.1:{ExporterProcess.FreePort()}");
        _listener.Prefixes.Add(Address.ToString());
        _listener.Start();
        _ = ListenAsync();
    }

    internal Uri Address { get; }

    /// <summary>Waits for an alert that is as wanted, among those that come from now on.</summary>
    internal async Task<ReceivedAlert> WaitForAsync(Func<ReceivedAlert, bool> wanted)
    {
        using var deadline = new CancellationTokenSource(Silence.Limit);
        try
        {
            while (true)
            {
                var alert = await _alerts.Reader.ReadAsync(deadline.Token);
                _seen.Add(alert);
                if (wanted(alert))
                {
                    return alert;
                }
            }
        }
        catch (OperationCanceledException)
        {
            throw new InvalidOperationException($"No such alert came:\n{string.Join('\n', _seen.Select(alert => $"{alert.Receiver} {alert.Status} {string.Join(' ', alert.Labels)}"))}");
        }
    }

    public void Dispose() => _listener.Close();

    private async Task ListenAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
            using var message = await JsonDocument.ParseAsync(context.Request.InputStream);
            foreach (var alert in message.RootElement.GetProperty("alerts").EnumerateArray())
            {
                _alerts.Writer.TryWrite(new(context.Request.Url!.Segments[^1], alert.GetProperty("status").GetString()!, Read(alert, "labels"), Read(alert, "annotations")));
            }
            context.Response.Close();
        }
    }

    private static Dictionary<string, string> Read(JsonElement alert, string name) =>
        alert.GetProperty(name).EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.GetString()!);
}
