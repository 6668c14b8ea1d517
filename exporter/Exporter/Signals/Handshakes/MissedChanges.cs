namespace Exporter.Signals.Handshakes;

/// <summary>Changes of sockets' states for which the kernel skipped a generation of programs: the ends of so many handshakes at most.</summary>
/// <param name="Generation">The number of the programs.</param>
/// <param name="Count">Never less than it was, for one number.</param>
internal readonly record struct MissedChanges(ulong Generation, ulong Count);
