using Exporter.Bpf.Netlink;

namespace Exporter.Bpf.Attach;

/// <summary>The programs of an object for the two directions of an interface, which are replaced together.</summary>
/// <param name="ingress">The name of the program for TC ingress.</param>
/// <param name="egress">The name of the program for TC egress.</param>
/// <param name="pinPrefix">The beginning of the names of the folders that its links and programs are pinned in; no two pairs share it.</param>
public sealed class ProgramPair(BpfObject loaded, string ingress, string egress, string pinPrefix = "")
{
    /// <summary>The folder of pinned tcx links.</summary>
    internal string LinksPart { get; } = $"{pinPrefix}{TcxAttacher.LinksPart}";

    /// <summary>The folder of programs that clsact filters run.</summary>
    internal string ProgramsPart { get; } = $"{pinPrefix}{StrayFilters.ProgramsPart}";

    /// <summary>Ingress first; another list when they are replaced.</summary>
    public IReadOnlyList<BpfProgram> Programs { get; private set; } = [loaded.Program(ingress), loaded.Program(egress)];

    public BpfProgram Ingress => Programs[0];

    public BpfProgram Egress => Programs[1];

    public BpfProgram For(TcDirection direction) => direction == TcDirection.Ingress ? Ingress : Egress;

    /// <summary>The name that the program for this direction has in every object.</summary>
    internal string NameFor(TcDirection direction) => direction == TcDirection.Ingress ? ingress : egress;

    /// <summary>Whether versions that knew one pair only have pins of it.</summary>
    internal bool IsOfEarlierVersions => pinPrefix.Length == 0;

    /// <summary>Whether a program of this name is one of the pair's, in every object.</summary>
    internal bool HasName(string program) => program == ingress || program == egress;

    /// <summary>Has the programs of another object take the place of these, once they are attached in their place (<see cref="TcAttachment.Renew"/>).</summary>
    public void Replace(BpfObject next) => Programs = [next.Program(ingress), next.Program(egress)];
}
