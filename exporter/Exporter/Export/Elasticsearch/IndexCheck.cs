using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Exporter.Export.Elasticsearch;

/// <summary>
/// Finds out, before records of a day are sent, whether the index of that day gets the right mapping and may be made: without the template a server guesses
/// types, silently.
/// </summary>
internal sealed class IndexCheck(ServerConnection servers, string index)
{
    private const string AutoCreate = "action.auto_create_index";

    private readonly HashSet<int> _checked = [];

    /// <summary>Whether the server is OpenSearch; null: it was not asked, or does not say so.</summary>
    private bool? _isOpenSearch;

    /// <summary>Checks each day once.</summary>
    /// <exception cref="SinkException">Nothing can be sent. The message has the reason.</exception>
    internal async ValueTask CheckAsync(int firstDay, int lastDay, CancellationToken cancellationToken)
    {
        if (_checked.Contains(firstDay) && _checked.Contains(lastDay))
        {
            return;
        }
        _isOpenSearch ??= (await IsOpenSearchAsync(servers, cancellationToken)).IsOpenSearch;
        await CheckTemplateAsync(cancellationToken);
        foreach (var day in firstDay == lastDay ? [firstDay] : (int[])[firstDay, lastDay])
        {
            await CheckCreationAsync(BulkRequest.NameOf(index, day), cancellationToken);
            if (_checked.Count > 1000)
            {
                _checked.Clear();
            }
            _checked.Add(day);
        }
        if (_isOpenSearch != true && servers.HasCredentials)
        {
            await CheckRightsAsync(cancellationToken);
        }
    }

    /// <summary>The next record is checked as the first one is: an index may have been removed, or the template.</summary>
    internal void Forget() => _checked.Clear();

    /// <summary>Asks a server for its kind.</summary>
    /// <returns>Null, and why: it does not say so. Records can be sent all the same: the sink needs no right to ask.</returns>
    internal static async ValueTask<(bool? IsOpenSearch, string Problem)> IsOpenSearchAsync(ServerConnection servers, CancellationToken cancellationToken)
    {
        var answer = await servers.AskAsync(HttpMethod.Get, "?filter_path=version.distribution", default, cancellationToken);
        if (answer.Status != HttpStatusCode.OK)
        {
            return (null, $"{answer.From} does not show its kind ({answer.Describe()}); {(answer.Status == HttpStatusCode.Forbidden
                ? "grant the user the right cluster:monitor/main (OpenSearch) or the cluster privilege monitor (Elasticsearch)"
                : "give the address of an Elasticsearch or OpenSearch")}");
        }
        using var document = JsonDocument.Parse(answer.Body);
        return (ServerAnswer.TextAt(document.RootElement, "version", "distribution") == "opensearch", "");
    }

    /// <summary>Asks for the version of a template.</summary>
    /// <returns>Null: it is not there; 0: it has no version.</returns>
    internal static async ValueTask<long?> VersionOfAsync(ServerConnection servers, string template, CancellationToken cancellationToken)
    {
        var answer = await servers.AskAsync(HttpMethod.Get, $"_index_template/{template}?filter_path=index_templates.index_template.version,error", default, cancellationToken);
        if (answer.Status == HttpStatusCode.NotFound)
        {
            return null;
        }
        if (answer.Status == HttpStatusCode.Forbidden)
        {
            throw new SinkException($"{answer.From} does not show the index template {template} ({answer.Describe()}); grant the sink's user manage_index_templates (Elasticsearch) or indices:admin/index_template/get (OpenSearch)");
        }
        if (answer.Status != HttpStatusCode.OK)
        {
            throw new SinkException($"{answer.From} does not show the index template {template} ({answer.Describe()}); it has to be an Elasticsearch 7.8 or later, or an OpenSearch");
        }
        using var document = JsonDocument.Parse(answer.Body);
        return ServerAnswer.At(document.RootElement, "index_templates") is { ValueKind: JsonValueKind.Array } templates
            && ServerAnswer.At(templates.EnumerateArray().FirstOrDefault(), "index_template", "version") is { ValueKind: JsonValueKind.Number } version
            && version.TryGetInt64(out var number)
            ? number
            : 0;
    }

    /// <summary>Whether a list of patterns, as action.auto_create_index has it, allows an index. The first pattern that matches decides.</summary>
    internal static bool IsAllowed(string setting, string name)
    {
        if (bool.TryParse(setting, out var isAllowed))
        {
            return isAllowed;
        }
        foreach (var part in setting.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var isDenied = part[0] == '-';
            if (System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(part[0] is '+' or '-' ? part[1..] : part, name, ignoreCase: false))
            {
                return !isDenied;
            }
        }
        return false;
    }

    private async ValueTask CheckTemplateAsync(CancellationToken cancellationToken)
    {
        var install = $"run 'podnet-exporter flows install --to={_isOpenSearch switch { true => "opensearch", false => "elasticsearch", null => "elasticsearch|opensearch" }}{(index == ElasticsearchOptions.DefaultIndex ? "" : $" --index={index}")} --url=...'";
        switch (await VersionOfAsync(servers, index, cancellationToken))
        {
            case null:
                throw new SinkException($"the index template {index} is not there; {install}");
            case < IndexTemplate.Version and var older:
                throw new SinkException(string.Create(CultureInfo.InvariantCulture, $"the index template {index} has version {older}, and version {IndexTemplate.Version} is needed; {install}"));
        }
    }

    /// <summary>Settings that may not be read are not a reason to send nothing: a bulk is answered with 404 for each record then.</summary>
    private async ValueTask CheckCreationAsync(string name, CancellationToken cancellationToken)
    {
        if (_isOpenSearch == false)
        {
            // A template of Elasticsearch allows it by itself.
            return;
        }
        var answer = await servers.AskAsync(HttpMethod.Get, $"_cluster/settings?include_defaults=true&filter_path=*.{AutoCreate}", default, cancellationToken);
        if (answer.Status != HttpStatusCode.OK)
        {
            return;
        }
        using var document = JsonDocument.Parse(answer.Body);
        var setting = ((string[])["transient", "persistent", "defaults"]).Select(level => ServerAnswer.TextAt(document.RootElement, level, "action", "auto_create_index")).FirstOrDefault(text => text is not null);
        if (setting is null || IsAllowed(setting, name))
        {
            return;
        }
        var there = await servers.AskAsync(HttpMethod.Head, name, default, cancellationToken);
        if (there.Status != HttpStatusCode.OK)
        {
            throw new SinkException($"the index {name} is not there and may not be made: {AutoCreate} is '{setting}'; add +{index}-* at its beginning");
        }
    }

    private async ValueTask CheckRightsAsync(CancellationToken cancellationToken)
    {
        var question = System.Text.Encoding.UTF8.GetBytes($$"""{"index":[{"names":["{{index}}-*"],"privileges":["create_doc","create_index","auto_configure"]}]}""");
        var answer = await servers.AskAsync(HttpMethod.Post, "_security/user/_has_privileges", question, cancellationToken);
        if (answer.Status != HttpStatusCode.OK)
        {
            return;
        }
        using var document = JsonDocument.Parse(answer.Body);
        if (ServerAnswer.At(document.RootElement, "index", $"{index}-*") is { } rights && !(Has("create_doc") && (Has("create_index") || Has("auto_configure"))))
        {
            throw new SinkException($"the sink's user may not write to {index}-*; grant its role the privileges create_doc and auto_configure for these indices");
        }

        bool Has(string right) => ServerAnswer.At(rights, right) is { ValueKind: JsonValueKind.True };
    }
}
