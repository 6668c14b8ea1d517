using System.Net;
using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Bpf.Contract;
using Exporter.Options;

namespace Exporter.Handshakes;

/// <summary>What could be attached.</summary>
/// <param name="Programs">Null where nothing works, or nothing is wanted.</param>
/// <param name="SeesRequests">Whether a server's requests that fail are seen.</param>
/// <param name="Problems">Why not what is not there, a sentence each.</param>
internal sealed record HandshakeAttachment(TcpHandshakePrograms? Programs, bool SeesRequests, IReadOnlyList<string> Problems) : IDisposable
{
    public void Dispose() => Programs?.Dispose();
}

/// <summary>Finds the hook by which handshakes are seen, by trying.</summary>
internal static class HandshakeHooks
{
    /// <summary>Enough for a connection within the machine that is out of breath.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>The kernel leaves a program out now and then.</summary>
    private const int Attempts = 3;

    /// <summary>
    /// Attaches the first hook that works. Tracepoints come first: the kernel leaves kprobes' programs out whenever the same CPU is in any
    /// other of their kind, or in an operation on a map.
    /// </summary>
    /// <exception cref="PinException">What is pinned cannot be used, or nothing can be pinned.</exception>
    internal static HandshakeAttachment Attach(HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins = null, Func<int, bool>? kept = null)
    {
        var problems = new List<string>();
        foreach (var hook in Candidates(options.Hook))
        {
            if (TryAttach(hook, options, bpfOptions, pins, kept, out var problem) is { } programs)
            {
                // Whoever asks for tracepoints gets no kprobes.
                var sees = options.Hook != HandshakeChoice.Tracepoint && TryAttachRequests(programs, problems);
                programs.Activate();
                return new(programs, sees, problems);
            }
            problems.Add($"{Name(hook)}: {problem}");
        }
        if (pins is not null)
        {
            TcpHandshakePrograms.RemovePinned(pins);
        }
        return new(null, false, problems);
    }

    /// <summary>As the option and the metrics spell it.</summary>
    internal static string Name(HandshakeHook hook) => hook.ToString().ToLowerInvariant();

    private static HandshakeHook[] Candidates(HandshakeChoice choice) => choice switch
    {
        HandshakeChoice.Auto => [HandshakeHook.Tracepoint, HandshakeHook.Kprobe],
        HandshakeChoice.Kprobe => [HandshakeHook.Kprobe],
        HandshakeChoice.Tracepoint => [HandshakeHook.Tracepoint],
        _ => [],
    };

    private static bool TryAttachRequests(TcpHandshakePrograms programs, List<string> problems)
    {
        try
        {
            programs.AttachRequests();
            return true;
        }
        catch (BpfException e)
        {
            problems.Add($"servers' failed requests: {e.Message}");
            return false;
        }
    }

    private static TcpHandshakePrograms? TryAttach(
        HandshakeHook hook, HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins, Func<int, bool>? kept, out string problem)
    {
        TcpHandshakePrograms programs;
        try
        {
            programs = TcpHandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxLate, pins, kept);
        }
        catch (BpfException e) when (e is not PinException || !CanLoad(hook, options, bpfOptions))
        {
            problem = e.Message;
            return null;
        }
        problem = "";
        try
        {
            problem = programs.FindNetwork(null) == 0 ? "attached, but it does not find the network namespace" : FindUnseen(programs.Steps);
        }
        catch (Exception e) when (e is SocketException or BpfException)
        {
            problem = $"cannot be tried: {e.Message}";
        }
        if (problem.Length == 0)
        {
            return programs;
        }
        programs.Dispose();
        return null;
    }

    /// <summary>Whether the kernel takes the hook's programs without what is pinned, which may be of another hook.</summary>
    private static bool CanLoad(HandshakeHook hook, HandshakeOptions options, BpfOptions bpfOptions)
    {
        try
        {
            TcpHandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxLate).Dispose();
            return true;
        }
        catch (BpfException)
        {
            return false;
        }
    }

    /// <summary>
    /// A function that was inlined into its callers, or whose arguments are others, can be attached to and is of no use. So a
    /// connection and a refused one are made on the loopback interface, where none counts, and the programs have to see them.
    /// </summary>
    /// <returns>What was not seen; empty is good.</returns>
    internal static string FindUnseen(PerCpuArray<ulong> seen)
    {
        var steps = Enum.GetValues<HandshakeStep>();
        List<HandshakeStep> unseen = [.. steps];
        for (var attempt = 0; attempt < Attempts && unseen.Count > 0; attempt++)
        {
            var before = steps.Select(step => seen.Read((int)step)).ToArray();
            ConnectAndFail();
            unseen.RemoveAll(step => seen.Read((int)step) > before[(int)step]);
        }
        return unseen.Count == 0 ? "" : $"attached, but it does not see connections that are {string.Join(" or ", unseen).ToLowerInvariant()}";
    }

    /// <summary>One connection, and one that is refused.</summary>
    private static void ConnectAndFail()
    {
        int port;
        using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            port = ((IPEndPoint)listener.LocalEndPoint!).Port;
            using var client = Connect(port);
            if (!listener.Poll(Patience, SelectMode.SelectRead))
            {
                throw new SocketException((int)SocketError.TimedOut);
            }
            listener.Accept().Dispose();
        }
        try
        {
            Connect(port).Dispose();
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // As wanted: nobody listens any more.
        }
    }

    private static Socket Connect(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            using var deadline = new CancellationTokenSource(Patience);
            socket.ConnectAsync(IPAddress.Loopback, port, deadline.Token).AsTask().GetAwaiter().GetResult();
            return socket;
        }
        catch (OperationCanceledException)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
