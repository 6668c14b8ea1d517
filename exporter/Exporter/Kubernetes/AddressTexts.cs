using System.Net;

namespace Exporter.Kubernetes;

/// <summary>Lists of addresses in documents.</summary>
internal static class AddressTexts
{
    /// <summary>The addresses in their order. Text that is not an address, as "None" or a host's name, is skipped.</summary>
    internal static IEnumerable<IPAddress> Parse(IEnumerable<string?> texts) => texts.Select(PodAddress.Parse).OfType<IPAddress>();
}
