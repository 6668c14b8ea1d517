using Exporter.Options;

namespace Exporter.Commands;

/// <summary>The arguments that were typed behind <c>flows</c> or a sub-command, with all errors in them.</summary>
internal sealed class FlowsArguments
{
    private readonly List<(FlowsArgument Argument, string Value)> _values = [];
    private readonly List<string> _errors = [];

    /// <param name="known">All that the command has.</param>
    /// <param name="typed">Values are written behind an equals sign or as the next argument.</param>
    internal FlowsArguments(string command, IReadOnlyList<FlowsArgument> known, ReadOnlySpan<string> typed)
    {
        for (var i = 0; i < typed.Length; i++)
        {
            var equals = typed[i].StartsWith("--", StringComparison.Ordinal) ? typed[i].IndexOf('=', StringComparison.Ordinal) : -1;
            var name = equals < 0 ? typed[i] : typed[i][..equals];
            if (known.FirstOrDefault(argument => argument.Name == name || argument.Alias == name) is not { } found)
            {
                Refuse($"{name}: '{command}' has no such argument. It has {string.Join(", ", known.Select(argument => argument.Name))}.");
            }
            else if (found.IsFlag)
            {
                Add(found, "", equals < 0 ? null : "is a flag and has no value");
            }
            else if (equals >= 0)
            {
                Add(found, typed[i][(equals + 1)..], null);
            }
            else if (i + 1 < typed.Length && typed[i + 1] is "-" or not ['-', ..])
            {
                Add(found, typed[++i], null);
            }
            else
            {
                Refuse($"{name}: has no value. Write {found.Usage}.");
            }
        }
    }

    /// <summary>The errors so far, each a line that names the argument.</summary>
    internal IReadOnlyList<string> Errors => _errors;

    internal bool Has(FlowsArgument argument) => _values.Exists(value => value.Argument == argument);

    internal IReadOnlyList<string> All(FlowsArgument argument) => [.. _values.Where(value => value.Argument == argument).Select(value => value.Value)];

    /// <summary>Null: it was not given.</summary>
    internal string? Text(FlowsArgument argument) => All(argument) is [var value, ..] ? value : null;

    /// <param name="parse">Throws <see cref="FormatException"/> with the problem, which is noted as an error.</param>
    /// <returns>The default where the argument was not given, or is wrong.</returns>
    internal T Read<T>(FlowsArgument argument, T byDefault, Func<string, T> parse)
    {
        try
        {
            return Text(argument) is { } text ? parse(text) : byDefault;
        }
        catch (FormatException e)
        {
            Refuse($"{argument.Name}: '{Text(argument)}' {e.Message}.");
            return byDefault;
        }
    }

    /// <summary>Adds an error if a condition on several arguments does not hold.</summary>
    internal void Require(bool isGood, string error)
    {
        if (!isGood)
        {
            Refuse(error);
        }
    }

    /// <summary>Adds an error. An address in it may have a password, which is not repeated.</summary>
    internal void Refuse(string error) => _errors.Add(OptionReader.WithoutPasswords(error));

    /// <returns>Whether there are errors; they are printed then.</returns>
    internal bool PrintErrors(TextWriter errors)
    {
        _errors.ForEach(errors.WriteLine);
        return _errors.Count > 0;
    }

    private void Add(FlowsArgument argument, string value, string? problem)
    {
        problem ??= !argument.IsRepeated && Has(argument) ? "is given twice" : !argument.IsFlag && value.Length == 0 ? $"has no value. Write {argument.Usage}" : null;
        if (problem is not null)
        {
            Refuse($"{argument.Name}: {problem}.");
            return;
        }
        _values.Add((argument, value));
    }
}
