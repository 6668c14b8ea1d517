using Confluent.Kafka;

namespace Exporter.Export.Kafka;

/// <summary>
/// Logs lines of the client, each kind once a minute, and its troubles with brokers, each once until it has recovered. The client's threads call it.
/// </summary>
internal sealed partial class KafkaLog(TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();

    /// <summary>When a line of a kind was written, and how many were not since. The client has some dozens of kinds.</summary>
    private readonly Dictionary<string, (long At, int Skipped)> _lines = new(StringComparer.Ordinal);

    private readonly HashSet<ErrorCode> _troubles = [];

    /// <summary>
    /// The trouble for which messages time out, and the client's words for it when it came: those that come again differ in times and brokers.
    /// </summary>
    private (ErrorCode Code, string Words)? _cause;

    /// <summary>A line of the client's log.</summary>
    internal void Write(LogMessage message)
    {
        int skipped;
        lock (_lock)
        {
            var isKnown = _lines.TryGetValue(message.Facility, out var line);
            if (isKnown && time.GetElapsedTime(line.At) < Pause)
            {
                _lines[message.Facility] = line with { Skipped = line.Skipped + 1 };
                return;
            }
            skipped = line.Skipped;
            _lines[message.Facility] = (time.GetTimestamp(), 0);
        }
        if (message.Level <= SyslogLevel.Warning)
        {
            LogWarning(logger, message.Facility, message.Message, skipped);
        }
        else
        {
            LogLine(logger, message.Facility, message.Message, skipped);
        }
    }

    /// <summary>A trouble of the client with brokers.</summary>
    internal void Fail(Error error)
    {
        var code = KafkaErrors.CodeOf(error);
        lock (_lock)
        {
            if (_cause is not { } cause || (KafkaErrors.IsCause(code) && !KafkaErrors.IsCause(cause.Code)))
            {
                _cause = (code, error.Reason);
            }
            if (!_troubles.Add(code))
            {
                return;
            }
        }
        LogTrouble(logger, error.Reason);
    }

    /// <summary>The reason of a message's timeout, and the client's words for it, where it has given one since records were acknowledged.</summary>
    internal (ErrorCode Code, string? Words) CauseOf(ErrorCode problem)
    {
        lock (_lock)
        {
            return (problem == ErrorCode.Local_MsgTimedOut && _cause is { } cause && KafkaErrors.IsCause(cause.Code) ? cause.Code : problem, _cause?.Words);
        }
    }

    /// <summary>Records are acknowledged, or another producer tries: troubles are said again.</summary>
    internal void Recover()
    {
        lock (_lock)
        {
            _troubles.Clear();
            _cause = null;
        }
    }

    [LoggerMessage(535, LogLevel.Warning, "The Kafka client: {Facility}: {Message} ({Skipped} such lines were skipped before)")]
    private static partial void LogWarning(ILogger logger, string facility, string message, int skipped);

    [LoggerMessage(536, LogLevel.Information, "The Kafka client: {Facility}: {Message} ({Skipped} such lines were skipped before)")]
    private static partial void LogLine(ILogger logger, string facility, string message, int skipped);

    [LoggerMessage(537, LogLevel.Warning, "The Kafka client has trouble with the brokers: {Reason}. It tries again; records are kept meanwhile")]
    private static partial void LogTrouble(ILogger logger, string reason);
}
