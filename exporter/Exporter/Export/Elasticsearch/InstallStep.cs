using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>Something that is put into a cluster, once.</summary>
/// <param name="What">In words, for the output.</param>
/// <param name="Template">The name of the template that it is; null: it is a policy.</param>
internal sealed record InstallStep(string What, string Path, byte[] Body, string? Template)
{
    internal static readonly JsonWriterOptions Pretty = new() { Indented = true, IndentSize = 2, NewLine = "\n" };

    /// <summary>All steps in their order: a template names its policy.</summary>
    /// <param name="days">The age at which indices are deleted; null: never.</param>
    internal static IReadOnlyList<InstallStep> Plan(string index, bool isOpenSearch, int? days)
    {
        var templates = IndexTemplate.All(index);
        var policies = days is not { } age ? [] : templates.Select(template =>
            new InstallStep($"lifecycle {template.Name}", IndexLifecycle.PathOf(template.Name, isOpenSearch), IndexLifecycle.Write(template, isOpenSearch, age), null));
        return
        [
            .. policies,
            .. templates.Select(template => new InstallStep($"index template {template.Name}", $"_index_template/{template.Name}", template.Write(isOpenSearch, days is not null), template.Name)),
        ];
    }
}
