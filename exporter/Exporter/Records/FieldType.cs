namespace Exporter.Records;

/// <summary>The type of a field's values.</summary>
internal enum FieldType
{
    /// <summary>Text that is compared as a whole.</summary>
    Keyword,

    /// <summary>Not negative.</summary>
    Integer,

    /// <summary>Above 0.</summary>
    Number,

    /// <summary>The canonical text of an IPv4 or IPv6 address (RFC 5952).</summary>
    Ip,

    /// <summary>RFC 3339, in UTC with milliseconds.</summary>
    Date,
}
