using System.Security.Cryptography;
using Exporter.Bpf;
using Exporter.Health;
using Exporter.State;

namespace Exporter.Replacement;

/// <summary>The directory of BPF objects that take the place of those that are built in.</summary>
internal sealed class ObjectDirectory(BpfOptions options)
{
    /// <summary>The ending of an object's file, as the build writes it.</summary>
    private const string Ending = ".bpf.o";

    /// <summary>Ours have some ten thousand bytes.</summary>
    private const int MostBytes = 16 << 20;

    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, byte[]> _seen = [];

    /// <summary>Objects that were refused for a reason of the moment, and when they are due again.</summary>
    private readonly Dictionary<string, Retry> _later = [];

    /// <summary>An object that was not there, or was otherwise, when this was last called, or that is due again.</summary>
    /// <param name="content">Null: it must not be used, and <paramref name="problem"/> says why.</param>
    /// <returns>Whether there is such.</returns>
    internal bool TryTakeNew(string name, out string path, out byte[]? content, out string problem)
    {
        path = Path.Combine(options.ObjectDirectory, name + Ending);
        (content, problem) = (null, "");
        byte[] bytes;
        try
        {
            var file = new FileInfo(path);
            if (!file.Exists)
            {
                return false;
            }
            if (file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target)
            {
                file = target;
            }
            bytes = file.Length > MostBytes ? [] : File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is being exchanged; or it cannot be read, which is logged once.
            bytes = [];
        }
        if (_later.GetValueOrDefault(name) is not { IsDue: true } && _seen.TryGetValue(name, out var seen) && seen.AsSpan().SequenceEqual(bytes))
        {
            return false;
        }
        _seen[name] = bytes;
        problem = FindProblem(path, bytes) ?? "";
        content = problem.Length == 0 ? bytes : null;
        return true;
    }

    /// <summary>Forgets an object that was offered and not used, so that it is offered again.</summary>
    internal void Forget(string name)
    {
        _seen.Remove(name);
        _later.Remove(name);
    }

    /// <summary>Offers an object again after a pause, which gets longer each time.</summary>
    internal void OfferLater(string name, TimeProvider time)
    {
        if (!_later.TryGetValue(name, out var retry))
        {
            _later[name] = retry = new(FirstRetry, LongestRetry, time);
        }
        retry.Later();
    }

    /// <summary>Offers an object when it changes: it is used, or it is refused for good.</summary>
    internal void Settle(string name) => _later.Remove(name);

    private string? FindProblem(string path, byte[] bytes)
    {
        if (bytes.Length == 0)
        {
            return $"{path} cannot be read, is empty, or is larger than {MostBytes} bytes";
        }
        // A process that can exchange the directory can exchange the file.
        if ((FileOwner.FindProblem(options.ObjectDirectory, isReadOnlyEnough: true) ?? FileOwner.FindProblem(path)) is { } problem)
        {
            return problem;
        }
        if (options.ObjectHashes.Count == 0)
        {
            return null;
        }
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
        return options.ObjectHashes.Contains(hash) ? null : $"{path} has the SHA-256 {hash}, which is not in Bpf:ObjectHashes";
    }
}
