namespace Exporter.Bpf;

/// <summary>One key of a map and its value, over all CPUs where each has its own.</summary>
public readonly record struct DrainedRow<TKey, TValue>(TKey Key, TValue Value);
