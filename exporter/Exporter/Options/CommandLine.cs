using System.Globalization;

namespace Exporter.Options;

/// <summary>The parsed command line: a command and options of the form <c>--Section:Key=value</c> or <c>--Section:Key value</c>.</summary>
/// <param name="IsFlagged">Whether the command's own flag was given: <c>uninstall --all</c> or <c>options --schema</c>.</param>
/// <param name="Stay">How long the process stays after its work: <c>uninstall --stay=30</c>, in seconds.</param>
internal sealed record CommandLine(string Command, bool IsFlagged, TimeSpan Stay, IReadOnlyDictionary<string, string?> Options, IReadOnlyList<string> Errors)
{
    internal const string Run = "run";
    internal const string Uninstall = "uninstall";
    internal const string ListOptions = "options";

    private const string StayKey = "stay";

    /// <summary>A day, in seconds.</summary>
    private const int LongestStay = 86_400;

    /// <summary>The flag of each command that has one.</summary>
    private static readonly Dictionary<string, string> Flags = new() { [Uninstall] = "--all", [ListOptions] = "--schema" };

    internal static CommandLine Parse(ReadOnlySpan<string> arguments)
    {
        var command = Run;
        if (arguments.Length > 0 && !arguments[0].StartsWith('-'))
        {
            command = arguments[0];
            arguments = arguments[1..];
        }
        if (arguments.Contains("--help") || arguments.Contains("-h"))
        {
            return new("help", false, TimeSpan.Zero, new Dictionary<string, string?>(), []);
        }
        if (arguments.Contains("--version"))
        {
            return new("version", false, TimeSpan.Zero, new Dictionary<string, string?>(), []);
        }

        var options = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var errors = new List<string>();
        var isFlagged = false;
        for (var i = 0; i < arguments.Length; i++)
        {
            var argument = arguments[i];
            if (Flags.TryGetValue(command, out var flag) && argument == flag)
            {
                isFlagged = true;
                continue;
            }
            if (!argument.StartsWith("--", StringComparison.Ordinal))
            {
                errors.Add($"{argument}: not understood. Options are written --Section:Key=value.");
                continue;
            }
            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? argument[2..] : argument[2..equals];
            if (equals >= 0)
            {
                options[key] = argument[(equals + 1)..];
            }
            else if (i + 1 < arguments.Length && !arguments[i + 1].StartsWith("--", StringComparison.Ordinal))
            {
                options[key] = arguments[++i];
            }
            else
            {
                errors.Add($"{key}: has no value. Options are written --Section:Key=value.");
            }
        }
        return new(command, isFlagged, command == Uninstall ? TakeStay(options, errors) : TimeSpan.Zero, options, errors);
    }

    /// <summary>Not an option of the exporter, so it is removed from them.</summary>
    private static TimeSpan TakeStay(Dictionary<string, string?> options, List<string> errors)
    {
        if (!options.Remove(StayKey, out var text))
        {
            return TimeSpan.Zero;
        }
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= LongestStay)
        {
            return TimeSpan.FromSeconds(seconds);
        }
        errors.Add($"{StayKey}: '{text}' is not a number of seconds from 0 to {LongestStay}.");
        return TimeSpan.Zero;
    }
}
