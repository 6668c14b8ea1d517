namespace Exporter.Tests.Support;

/// <summary>A type of the namespace <paramref name="From"/> uses one of the namespace <paramref name="To"/>.</summary>
internal sealed record TypeUse(string From, string By, string To, string Used);
