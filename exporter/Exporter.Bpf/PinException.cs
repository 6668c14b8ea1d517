namespace Exporter.Bpf;

/// <summary>The directory for pins cannot be used.</summary>
/// <param name="message">Why, and what to do about it.</param>
public sealed class PinException(string message) : BpfException(message);
