using System.Runtime.InteropServices;

// The types of bpf/netns/netns_list.h.
namespace Exporter.Bpf;

/// <summary>struct netns_search: a network namespace that is looked for, and what came of it.</summary>
/// <param name="Cookie">0: not asked for by its cookie.</param>
/// <param name="Inode">0: not asked for by its inode number.</param>
/// <param name="Found">1 where it exists.</param>
/// <param name="Complete">1 where all namespaces were looked at.</param>
[StructLayout(LayoutKind.Sequential)]
public record struct NetnsSearch(ulong Cookie, ulong Inode, uint Found, uint Complete);
