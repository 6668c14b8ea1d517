using System.Net.Http.Headers;
using System.Text;
using Exporter.Health;

namespace Exporter.Export.Elasticsearch;

/// <summary>The credentials in files, at most a second old. If changed files cannot be used, the previous credentials stay in use, and a line is logged once for each change.</summary>
internal sealed partial class ServerCredentials(ElasticsearchOptions options, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private FileWatch? _files;
    private long _checkedAt;
    private AuthenticationHeaderValue? _current;

    /// <summary>The options that have the credentials, for messages; empty: there are none.</summary>
    internal string Keys => options.ApiKeyFile.Length > 0 ? ElasticsearchOptions.ApiKeyFileKey
        : options.UserFile.Length > 0 ? $"{ElasticsearchOptions.UserFileKey} and {ElasticsearchOptions.PasswordFileKey}"
        : "";

    /// <summary>The header of a request.</summary>
    /// <returns>Null: no credentials are set.</returns>
    /// <exception cref="SinkException">The files cannot be used, and there are no previous credentials.</exception>
    internal AuthenticationHeaderValue? Read()
    {
        if (Keys.Length == 0 || (_files is not null && time.GetElapsedTime(_checkedAt) < Pause))
        {
            return _current;
        }
        _checkedAt = time.GetTimestamp();
        if (_files?.HaveChanged() == false)
        {
            return _current;
        }
        var files = new FileWatch();
        try
        {
            _current = options.ApiKeyFile.Length > 0
                ? new("ApiKey", ReadWord(files, ElasticsearchOptions.ApiKeyFileKey, options.ApiKeyFile))
                : new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(
                    $"{ReadWord(files, ElasticsearchOptions.UserFileKey, options.UserFile)}:{ReadLine(files, ElasticsearchOptions.PasswordFileKey, options.PasswordFile)}")));
        }
        catch (SinkException e) when (_current is not null)
        {
            LogKept(logger, e.Message);
        }
        _files = files;
        return _current;
    }

    /// <summary>Reads a text without spaces, which a header can have.</summary>
    private static string ReadWord(FileWatch files, string key, string path)
    {
        var word = ReadLine(files, key, path);
        return !word.Any(c => char.IsWhiteSpace(c) || c > '~') ? word : throw new SinkException($"{path} ({key}) has more than one word, or a character that is not ASCII; write the name or the key alone into it");
    }

    private static string ReadLine(FileWatch files, string key, string path)
    {
        var content = files.TryRead(path, out var problem) ?? throw new SinkException($"the file of {key} cannot be read: {problem}");
        var line = Encoding.UTF8.GetString(content).TrimStart('\uFEFF').TrimEnd('\r', '\n');
        return line.Length > 0 && !line.Any(char.IsControl) ? line : throw new SinkException($"{path} ({key}) is empty, or has more than one line; write one line into it");
    }

    [LoggerMessage(550, LogLevel.Error, "Changed credentials of the sink elasticsearch cannot be used, keeping the previous ones: {Reason}")]
    private static partial void LogKept(ILogger logger, string reason);
}
