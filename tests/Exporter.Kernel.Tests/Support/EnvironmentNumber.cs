using System.Globalization;

namespace Exporter.Kernel.Tests.Support;

/// <summary>Numbers of a run that the environment may set: a seed, or more of something than the tests take else.</summary>
internal static class EnvironmentNumber
{
    /// <returns>Null: the variable is not set, or is no number.</returns>
    internal static int? Read(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), CultureInfo.InvariantCulture, out var number) ? number : null;
}
