using System.Text;
using Exporter.Accounts;

namespace Exporter.Exposition;

/// <summary>A total as it is written: its head, and each line up to the number. Immutable.</summary>
internal sealed class TotalText(AccountTotal total, ExpositionFormat format)
{
    internal byte[] Head { get; } = FamilyText.WriteHead(total.Family, format);

    internal (byte[] Beginning, Func<ulong> Read)[] Samples { get; } =
        [.. total.Samples.Select(sample => (WriteBeginning(total, sample.Labels), sample.Read))];

    private static byte[] WriteBeginning(AccountTotal total, IReadOnlyList<string> values)
    {
        var labels = Encoding.UTF8.GetString(FamilyText.WriteLabels(total.Family.Labels.Select(label => label.Name), values));
        return Encoding.UTF8.GetBytes(labels.Length == 0 ? $"{total.Family.Name} " : $"{total.Family.Name}{{{labels}}} ");
    }
}
