using System.Text;
using Exporter.Tests.Kubernetes;
using Microsoft.AspNetCore.Http;

namespace Exporter.Kernel.Tests.Support;

/// <summary>The objects of one kind that an API server lists, and reports to those who watch them. Safe for concurrent use.</summary>
internal sealed class ServedObjects
{
    private readonly string _kind;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, string> _objects = new(StringComparer.Ordinal);

    /// <summary>Events, each of one version, from 1 on.</summary>
    private readonly List<string> _events = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="path">As /api/v1/services.</param>
    /// <param name="kind">Of a list, as ServiceList.</param>
    internal ServedObjects(ApiServer server, string path, string kind)
    {
        _kind = kind;
        server.Handle(request => request.Path == path, AnswerAsync, times: int.MaxValue);
    }

    /// <summary>Adds an object, or replaces the one with this name.</summary>
    /// <param name="name">With its namespace: data/db.</param>
    /// <param name="body">JSON of all but the metadata, without braces.</param>
    /// <param name="labels">JSON of an object.</param>
    internal void Set(string name, string body, string labels = "{}")
    {
        var (ns, own) = name.Split('/') is [var first, var second] ? (first, second) : ("", name);
        lock (_lock)
        {
            var version = _events.Count + 1;
            var text = $$"""{"metadata":{"namespace":"{{ns}}","name":"{{own}}","resourceVersion":"{{version}}","labels":{{labels}}},{{body}}}""";
            Report(_objects.ContainsKey(name) ? "MODIFIED" : "ADDED", text);
            _objects[name] = text;
        }
    }

    internal void Remove(string name)
    {
        lock (_lock)
        {
            _objects.Remove(name, out var text);
            Report("DELETED", text!);
        }
    }

    private void Report(string type, string text)
    {
        _events.Add($$"""{"type":"{{type}}","object":{{text}}}""" + "\n");
        Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    private Task AnswerAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        return context.Request.Query["watch"] == "true" ? WatchAsync(context, int.Parse(context.Request.Query["resourceVersion"]!, null)) : ListAsync(context);
    }

    private async Task ListAsync(HttpContext context)
    {
        string list;
        lock (_lock)
        {
            list = $$"""{"kind":"{{_kind}}","metadata":{"resourceVersion":"{{_events.Count}}"},"items":[{{string.Join(',', _objects.Values)}}]}""";
        }
        await context.Response.BodyWriter.WriteAsync(Encoding.UTF8.GetBytes(list), context.RequestAborted);
    }

    /// <summary>Until the client leaves.</summary>
    private async Task WatchAsync(HttpContext context, int version)
    {
        await context.StartChunkedAsync();
        while (true)
        {
            string news;
            Task changed;
            lock (_lock)
            {
                news = string.Concat(_events.Skip(version));
                (version, changed) = (_events.Count, _changed.Task);
            }
            if (news.Length > 0)
            {
                await context.WriteChunkAsync(Encoding.UTF8.GetBytes(news));
            }
            await changed.WaitAsync(context.RequestAborted);
        }
    }
}
