using System.Globalization;
using System.Net;

namespace Exporter.Export.Elasticsearch;

/// <summary>Puts templates and policies into a cluster. What is there already, from this version or a later one, stays as it is: another run changes nothing.</summary>
internal sealed class Installation(ServerConnection servers, TextWriter output)
{
    /// <exception cref="SinkException">A step failed. Those before it are done.</exception>
    internal async Task RunAsync(IReadOnlyList<InstallStep> steps, bool isOpenSearch, CancellationToken cancellationToken)
    {
        var (kind, problem) = await IndexCheck.IsOpenSearchAsync(servers, cancellationToken);
        if (kind is not { } isReallyOpenSearch)
        {
            throw new SinkException(problem);
        }
        if (isReallyOpenSearch != isOpenSearch)
        {
            throw new SinkException($"the server is {(isReallyOpenSearch ? "OpenSearch" : "not OpenSearch")}; write --to={(isReallyOpenSearch ? "opensearch" : "elasticsearch")}");
        }
        foreach (var step in steps)
        {
            var present = step.Template is { } template ? await FindTemplateAsync(template, cancellationToken) : await FindPolicyAsync(step, cancellationToken);
            if (present is not null)
            {
                output.WriteLine($"{step.What}: {present}");
                continue;
            }
            var answer = await servers.AskAsync(HttpMethod.Put, step.Path, step.Body, cancellationToken);
            if ((int)answer.Status is < 200 or >= 300)
            {
                throw new SinkException($"{step.What} was not put: {answer.From} answers {answer.Describe()}");
            }
            output.WriteLine($"{step.What}: put");
        }
    }

    /// <returns>In words that it is there; null: it has to be put.</returns>
    private async Task<string?> FindTemplateAsync(string template, CancellationToken cancellationToken) =>
        await IndexCheck.VersionOfAsync(servers, template, cancellationToken) is >= IndexTemplate.Version and var version
            ? string.Create(CultureInfo.InvariantCulture, $"is there with version {version}, unchanged")
            : null;

    private async Task<string?> FindPolicyAsync(InstallStep step, CancellationToken cancellationToken)
    {
        var answer = await servers.AskAsync(HttpMethod.Get, step.Path, default, cancellationToken);
        return answer.Status switch
        {
            HttpStatusCode.OK => "is there, unchanged; edit it in the cluster where indices are to be kept for another time",
            HttpStatusCode.NotFound => null,
            HttpStatusCode.BadRequest or HttpStatusCode.MethodNotAllowed => throw new SinkException(
                $"{answer.From} has no lifecycle for indices ({answer.Describe()}); install its plugin, or give --no-lifecycle and delete old indices by another program"),
            _ => throw new SinkException($"{step.What} is not shown: {answer.From} answers {answer.Describe()}"),
        };
    }
}
