namespace Exporter.Commands;

/// <summary>An argument of <c>podnet-exporter flows</c> and its sub-commands, as it is parsed and as the help lists it.</summary>
/// <param name="Name">With its hyphens.</param>
/// <param name="Value">Its value in words; empty: it is a flag.</param>
/// <param name="Alias">A shorter name; null: it has none.</param>
/// <param name="IsRepeated">Whether it can be given more than once.</param>
internal sealed record FlowsArgument(string Name, string Value, string Description, string? Alias = null, bool IsRepeated = false)
{
    internal bool IsFlag => Value.Length == 0;

    /// <summary>As it is typed.</summary>
    internal string Usage => IsFlag ? Name : Alias is null ? $"{Name}={Value}" : $"{Alias} {Value}, {Name}={Value}";
}
