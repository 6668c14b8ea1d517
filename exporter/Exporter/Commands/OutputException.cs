namespace Exporter.Commands;

/// <summary>Standard output cannot be written.</summary>
/// <param name="isClosed">Whether its reader has gone, as head does when it has its lines.</param>
internal sealed class OutputException(string message, bool isClosed) : Exception(message)
{
    internal bool IsClosed => isClosed;
}
