namespace Exporter.Signals;

/// <summary>Programs that the kernel calls in the same way, as podnet_exporter_hook_info shows them.</summary>
/// <param name="Kind">The value of its label.</param>
/// <param name="Values">The ways that there are, as the end of a sentence about the kind.</param>
internal sealed record HookKind(string Kind, string Values);
