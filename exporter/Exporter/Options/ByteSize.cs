using System.Globalization;

namespace Exporter.Options;

/// <summary>Sizes as options have them: bytes, or a whole number of KiB, MiB or GiB.</summary>
internal static class ByteSize
{
    /// <summary>JSON Schema's pattern of a size with a unit, or without one.</summary>
    internal const string Pattern = "^ *[0-9]{1,19} *([KkMmGg][Ii][Bb])? *$";

    private static readonly (string Unit, long Bytes)[] Units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

    /// <summary>Null: it is not a size, or not one that a long can have.</summary>
    internal static long? TryParse(string text)
    {
        var (unit, bytes) = Units.First(unit => text.EndsWith(unit.Unit, StringComparison.OrdinalIgnoreCase));
        return long.TryParse(text.AsSpan(0, text.Length - unit.Length).TrimEnd(' '), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= long.MaxValue / bytes
            ? count * bytes
            : null;
    }

    /// <summary>With the greatest unit of which it is a whole number.</summary>
    internal static string Write(long size)
    {
        var (unit, bytes) = Units.First(unit => unit.Bytes == 1 || (size > 0 && size % unit.Bytes == 0));
        return FormattableString.Invariant($"{size / bytes}{unit}");
    }
}
