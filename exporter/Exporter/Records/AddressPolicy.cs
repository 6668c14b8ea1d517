namespace Exporter.Records;

/// <summary>Which part of addresses records have. The maker of the records shortens or clears the addresses.</summary>
internal enum AddressPolicy : byte
{
    Full,

    /// <summary>Prefixes: no Community ID and no address behind a translation.</summary>
    Prefix,

    None,
}
