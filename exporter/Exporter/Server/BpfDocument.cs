using System.Text.Json.Serialization;
using Exporter.Bpf;
using Exporter.Bpf.Attach;
using Exporter.Replacement;
using Exporter.Signals.Objects;

namespace Exporter.Server;

/// <summary>The document /api/v1/bpf: the loaded BPF objects, and the last refusals.</summary>
/// <param name="Hook">The hook that programs are attached to: tcx or clsact.</param>
/// <param name="PinDirectory">Where programs and maps are pinned; null: they are not.</param>
internal sealed record BpfDocument(string Hook, string? PinDirectory, DateTimeOffset Time, IReadOnlyList<ObjectEntry> Objects)
{
    internal static BpfDocument Create(TcAttacher attacher, PinDirectory? pins, TimeProvider time, ObjectStatusBoard objects, IReadOnlyList<IReplaceable> loaded) => new(
        attacher.Name,
        pins?.Path,
        time.GetUtcNow(),
        [.. objects.Status.Select(status => ObjectEntry.Of(status, loaded.FirstOrDefault(one => one.Name == status.Name)?.Programs ?? []))]);
}

/// <param name="Source">The file of the object, or "built in".</param>
/// <param name="Refusal">Why the last replacement was refused, with the verifier's log; null: none was.</param>
internal sealed record ObjectEntry(string Name, string Source, DateTimeOffset? ReplacedAt, IReadOnlyList<ProgramEntry> Programs, string? Refusal, DateTimeOffset? RefusedAt)
{
    internal static ObjectEntry Of(ObjectStatus status, IEnumerable<BpfProgram> programs) => new(
        status.Name, status.Source ?? "built in", status.ReplacedAt, [.. programs.Select(program => new ProgramEntry(program.Name, program.Id, program.Tag))], status.Refusal, status.RefusedAt);
}

/// <param name="Id">The kernel's id, as bpftool shows it.</param>
/// <param name="Tag">The kernel's digest of its instructions.</param>
internal sealed record ProgramEntry(string Name, int Id, string Tag);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BpfDocument))]
internal sealed partial class BpfDocumentContext : JsonSerializerContext;
