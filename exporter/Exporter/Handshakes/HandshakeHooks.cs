using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Handshakes;

/// <summary>Finds the hook by which handshakes are seen, by trying.</summary>
internal static class HandshakeHooks
{
    /// <summary>
    /// Attaches the first hook that works. Tracepoints come first: the kernel skips kprobes' programs whenever the same CPU is in any
    /// other of their kind, or in an operation on a map.
    /// </summary>
    /// <exception cref="PinException">What is pinned cannot be used, or nothing can be pinned.</exception>
    internal static HandshakeAttachment Attach(HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins = null, Func<int, bool>? kept = null)
    {
        var problems = new List<string>();
        foreach (var hook in Candidates(options.Hook))
        {
            if (TryAttach(hook, options, bpfOptions, pins, kept, out var untried, out var problem) is { } programs)
            {
                // Whoever asks for tracepoints gets no kprobes.
                var sees = options.Hook != HandshakeChoice.Tracepoint && TryAttachRequests(programs, problems);
                programs.Activate();
                return new(programs, sees, problems, untried);
            }
            problems.Add($"{Name(hook)}: {problem}");
        }
        if (pins is not null)
        {
            TcpHandshakePrograms.RemovePinned(pins);
        }
        return new(null, false, problems, "");
    }

    /// <summary>As the option and the metrics spell it.</summary>
    internal static string Name(HandshakeHook hook) => EnumText.Lower(hook);

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

    /// <param name="untried">Why the programs that are returned could not be tried; empty if they have proven to work.</param>
    private static TcpHandshakePrograms? TryAttach(
        HandshakeHook hook, HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins, Func<int, bool>? kept, out string untried, out string problem)
    {
        untried = "";
        TcpHandshakePrograms programs;
        try
        {
            programs = TcpHandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxRetransmitting, pins, kept);
        }
        catch (BpfException e) when (e is not PinException || !CanLoad(hook, options, bpfOptions))
        {
            problem = e.Message;
            return null;
        }
        problem = "";
        try
        {
            problem = LoopbackTrial.FindUnseen(programs.Steps);
        }
        catch (SocketException e)
        {
            // That is no fault of the hook's: it counts, and is tried later.
            untried = e.Message;
        }
        catch (BpfException e)
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
            TcpHandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxRetransmitting).Dispose();
            return true;
        }
        catch (BpfException)
        {
            return false;
        }
    }
}
