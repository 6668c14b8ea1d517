namespace Exporter.Verification;

/// <summary>How the value of a field is written.</summary>
internal enum FieldKind
{
    Text,

    /// <summary>A whole number from 0.</summary>
    Count,

    /// <summary>RFC 3339.</summary>
    Time,

    /// <summary>Text that is kept as its 128-bit hash.</summary>
    Id,
}
