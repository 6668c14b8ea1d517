using System.Globalization;
using System.Text;

namespace Exporter.Bpf.Attach;

/// <summary>
/// The name of a filter (TCA_BPF_NAME), which says whose it is: <c>podnet_transmit [42] pinned /sys/fs/bpf/podnet</c>, or
/// <c>podnet_transmit [42] unpinned</c>. Earlier versions named it <c>podnet_transmit:[42]</c>, which does not say it.
/// </summary>
/// <param name="Program">The program's name.</param>
/// <param name="ProgramId">The program's id: no two loaded programs have one id.</param>
/// <param name="Owner">The pin directory that the filter belongs to, <see cref="Unpinned"/>, or null in the name of an earlier version.</param>
internal sealed record FilterName(string Program, int ProgramId, string? Owner)
{
    /// <summary>The owner of a filter that belongs to the process that attached it.</summary>
    internal const string Unpinned = "unpinned";

    private const string Pinned = "pinned ";

    /// <summary>net/sched/cls_bpf.c, CLS_BPF_NAME_LEN, less the terminating null.</summary>
    private const int MaxBytes = 255;

    /// <summary>The programs of the exporter that filters run: filters of any other are not touched.</summary>
    private static readonly string[] Programs = ["podnet_transmit", "podnet_receive", "podnet_uplink_in", "podnet_uplink_out"];

    /// <summary>The filter's full name.</summary>
    internal string Text => Owner is null ? Claim : $"{Claim} {Owner}";

    /// <summary>The name of the socket that shows that the process which attached the filter lives (<see cref="FilterClaim"/>).</summary>
    internal string Claim => string.Create(CultureInfo.InvariantCulture, $"{Program}{(Owner is null ? ":" : " ")}[{ProgramId}]");

    /// <summary>The name of a filter that this process attaches.</summary>
    /// <param name="pins">Null: it is not pinned.</param>
    internal static FilterName Of(BpfProgram program, PinDirectory? pins) => new(program.Name, program.Id, OwnerOf(pins?.Owner));

    /// <summary>The owner of the filters of processes that use the pin directory of this path; null: that use none.</summary>
    internal static string OwnerOf(string? path)
    {
        if (path is null)
        {
            return Unpinned;
        }
        const int Room = 64;
        // A path that does not fit is replaced by its digest, by which directories still differ.
        return Pinned + (Encoding.UTF8.GetByteCount(path) <= MaxBytes - Room ? path : $"#{Fnv1a.Of(path):x16}");
    }

    /// <summary>Null for a name that no exporter gives.</summary>
    internal static FilterName? TryParse(string text)
    {
        foreach (var program in Programs)
        {
            if (!text.StartsWith(program, StringComparison.Ordinal))
            {
                continue;
            }
            var rest = text.AsSpan(program.Length);
            var isEarlier = rest.StartsWith(":[");
            if (!isEarlier && !rest.StartsWith(" ["))
            {
                return null;
            }
            rest = rest[2..];
            var end = rest.IndexOf(']');
            if (end < 0 || !int.TryParse(rest[..end], NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                return null;
            }
            rest = rest[(end + 1)..];
            return isEarlier ? (rest.IsEmpty ? new(program, id, null) : null) : rest is [' ', ..] ? new(program, id, rest[1..].ToString()) : null;
        }
        return null;
    }
}
