namespace Exporter.Bpf.Netlink;

/// <summary>A BPF filter of the TC classifier.</summary>
/// <param name="Name">As the one who attached it gave it; the program's name and id.</param>
/// <param name="ProgramId">0 where the kernel does not say.</param>
public readonly record struct TcFilter(ushort Priority, uint Handle, string Name, int ProgramId);
