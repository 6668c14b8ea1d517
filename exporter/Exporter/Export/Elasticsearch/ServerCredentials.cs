using System.Net.Http.Headers;
using System.Text;
using Exporter.Health;
using Exporter.Options;

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

    /// <summary>Checks that the files can be used.</summary>
    internal static void Check(ElasticsearchOptions options, OptionReader reader)
    {
        foreach (var (key, path, isWord) in ((string, string, bool)[])[
            (ElasticsearchOptions.UserFileKey, options.UserFile, true), (ElasticsearchOptions.PasswordFileKey, options.PasswordFile, false), (ElasticsearchOptions.ApiKeyFileKey, options.ApiKeyFile, true)])
        {
            if (OptionReader.IsFilePath(path) && Read(new(), path, isWord).Problem is { } problem)
            {
                reader.Refuse(key, $"'{path}' {problem}", isOutside: true);
            }
        }
    }

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
                ? new("ApiKey", Read(files, ElasticsearchOptions.ApiKeyFileKey, options.ApiKeyFile, isWord: true))
                : new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(
                    $"{Read(files, ElasticsearchOptions.UserFileKey, options.UserFile, isWord: true)}:{Read(files, ElasticsearchOptions.PasswordFileKey, options.PasswordFile, isWord: false)}")));
        }
        catch (SinkException e) when (_current is not null)
        {
            LogKept(logger, e.Message);
        }
        _files = files;
        return _current;
    }

    private static string Read(FileWatch files, string key, string path, bool isWord) =>
        Read(files, path, isWord) is var (text, problem) && problem is null ? text : throw Unusable(key, path, problem);

    /// <param name="problem">As of a sentence that begins with the path.</param>
    internal static SinkException Unusable(string key, string path, string problem) =>
        new(problem.StartsWith("cannot ", StringComparison.Ordinal) ? $"the file of {key} {problem}" : $"{path} ({key}) {problem}");

    /// <param name="isWord">Whether it has no spaces, as a text that a header can have.</param>
    /// <returns>The problem continues a sentence that begins with the path; null: there is none.</returns>
    private static (string Text, string? Problem) Read(FileWatch files, string path, bool isWord)
    {
        if (files.TryRead(path, out var reason) is not { } content)
        {
            return ("", $"cannot be read: {reason}");
        }
        var line = Encoding.UTF8.GetString(content).TrimStart('\uFEFF').TrimEnd('\r', '\n');
        return (line, line.Length == 0 || line.Any(char.IsControl) ? "is empty, or has more than one line; write one line into it"
            : isWord && line.Any(c => char.IsWhiteSpace(c) || c > '~') ? "has more than one word, or a character that is not ASCII; write the name or the key alone into it"
            : null);
    }

    [LoggerMessage(550, LogLevel.Error, "Changed credentials of the sink elasticsearch cannot be used, keeping the previous ones: {Reason}")]
    private static partial void LogKept(ILogger logger, string reason);
}
