using System.Runtime.InteropServices;

// The types of bpf/identity/netns.h.
namespace Exporter.Bpf;

/// <summary>struct netns_found: what a network namespace is known by.</summary>
/// <param name="Number">Its cookie, or before Linux 5.12 its inode number. 0: there is none of this id.</param>
/// <param name="IsCookie">1 where the number never comes back.</param>
[StructLayout(LayoutKind.Sequential)]
public record struct NetnsFound(ulong Number, ulong IsCookie);
