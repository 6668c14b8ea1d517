using Exporter.Bpf;

namespace Exporter.Signals.Handshakes;

/// <summary>The handshake programs of one object that are attached. Owns their links, and the steps that they have seen.</summary>
/// <param name="generation">The number in the object that no other object has.</param>
internal sealed class AttachedPrograms(BpfObject loaded, ulong generation) : IDisposable
{
    private readonly List<(string Name, BpfLink Link)> _links = [];

    internal ulong Generation => generation;

    /// <summary>Indexed by <see cref="LoopbackStep"/>.</summary>
    internal PerCpuArray<ulong> Steps { get; } = new(loaded.Map("handshake_steps"));

    internal IReadOnlyList<(string Name, BpfLink Link)> Links => _links;

    /// <summary>Another list whenever they change.</summary>
    internal IReadOnlyList<BpfProgram> Programs { get; private set; } = [];

    /// <summary>Attaches all of these programs, or none.</summary>
    /// <exception cref="BpfException">The kernel lacks a function or tracepoint, or refused.</exception>
    internal void Attach(IReadOnlyList<(string Program, string? Function)> hooks)
    {
        var links = new List<(string Name, BpfLink Link)>();
        var programs = new List<BpfProgram>();
        try
        {
            foreach (var (name, function) in hooks)
            {
                var program = loaded.Program(name);
                links.Add((name, function is null ? program.AttachTracepoint() : program.AttachKprobe(function)));
                programs.Add(program);
            }
        }
        catch
        {
            links.ForEach(attached => attached.Link.Dispose());
            throw;
        }
        _links.AddRange(links);
        Programs = [.. Programs, .. programs];
    }

    /// <summary>Detaches programs that are not pinned.</summary>
    public void Dispose() => _links.ForEach(attached => attached.Link.Dispose());
}
