namespace Exporter.Export;

/// <summary>How the brokers are spoken to.</summary>
internal enum KafkaSecurity
{
    Plaintext,
    Tls,
    SaslPlaintext,
    SaslTls,
}
