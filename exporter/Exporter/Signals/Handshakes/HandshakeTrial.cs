using System.Net.Sockets;
using Exporter.Bpf;
using Exporter.Options;
using Exporter.State;

namespace Exporter.Signals.Handshakes;

/// <summary>Finds a way to attach the handshake programs that works, by trying.</summary>
internal static class HandshakeTrial
{
    /// <summary>
    /// Attaches the first hook that works. Tracepoints come first: the kernel skips kprobes' programs whenever the same CPU is in any
    /// other of their kind, or in an operation on a map.
    /// </summary>
    /// <exception cref="PinException">Pinned maps cannot be used, or nothing can be pinned.</exception>
    internal static LoadedHandshakes Attach(HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins = null, Func<int, bool>? isCommitted = null)
    {
        var problems = new List<string>();
        foreach (var hook in Candidates(options.Hook))
        {
            if (TryAttach(hook, options, bpfOptions, pins, isCommitted, out var untried, out var problem) is { } programs)
            {
                // The option that names tracepoints allows no kprobes.
                var sees = options.Hook != HandshakeAttachOption.Tracepoint && TryAttachRequests(programs, problems);
                programs.Activate();
                return new(programs, options.Hook, sees, problems, untried, pins);
            }
            problems.Add($"{Name(hook)}: {problem}");
        }
        if (pins is not null)
        {
            HandshakePrograms.RemovePinned(pins);
        }
        return new(null, options.Hook, seesRequests: false, problems, "", pins);
    }

    /// <summary>As the option and the metrics spell it.</summary>
    internal static string Name(HandshakeAttachType hook) => EnumText.Lower(hook);

    private static HandshakeAttachType[] Candidates(HandshakeAttachOption choice) => choice switch
    {
        HandshakeAttachOption.Auto => [HandshakeAttachType.Tracepoint, HandshakeAttachType.Kprobe],
        HandshakeAttachOption.Kprobe => [HandshakeAttachType.Kprobe],
        HandshakeAttachOption.Tracepoint => [HandshakeAttachType.Tracepoint],
        _ => [],
    };

    private static bool TryAttachRequests(HandshakePrograms programs, List<string> problems)
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
    private static HandshakePrograms? TryAttach(
        HandshakeAttachType hook, HandshakeOptions options, BpfOptions bpfOptions, PinDirectory? pins, Func<int, bool>? isCommitted, out string untried, out string problem)
    {
        untried = "";
        HandshakePrograms programs;
        try
        {
            programs = HandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxRetransmitting, pins, isCommitted);
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
            // The hook is not at fault: it counts, and is tried later.
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

    /// <summary>Whether the kernel takes the hook's programs without the pinned objects, which may be of another hook.</summary>
    private static bool CanLoad(HandshakeAttachType hook, HandshakeOptions options, BpfOptions bpfOptions)
    {
        try
        {
            HandshakePrograms.Attach(hook, options.Buckets.ToArray(), bpfOptions.MaxInterfaces, options.MaxRetransmitting).Dispose();
            return true;
        }
        catch (BpfException)
        {
            return false;
        }
    }
}
