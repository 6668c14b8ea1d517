using System.Globalization;
using System.Net;
using System.Text.Json;
using Exporter.Health;

namespace Exporter.Export.Elasticsearch;

/// <summary>
/// Creates the records of a batch in daily indices of Elasticsearch or OpenSearch, by <c>_bulk</c> and with event.id as _id: a record that is sent again is
/// not there twice. Each record is followed by itself: those that a server is too busy for are sent again, alone; those that it will never take are rejected; and where
/// the index or the rights are in the way, nothing is lost and the reason is said. Identity records have no place there and count as acknowledged.
/// </summary>
internal sealed partial class ElasticsearchSink(ElasticsearchOptions options, ElasticsearchMetrics metrics, TimeProvider time, ILogger logger) : IRecordSink, IDisposable
{
    /// <summary>The type of records without an id or a time.</summary>
    private const string NoId = "no_event_id_or_timestamp";

    /// <summary>Attempts of which none settles a record, before the cursor waits and shows the sink as failing.</summary>
    private const int MaxInVain = 3;

    private const int MaxTypes = 64;

    private readonly BulkItems _items = new();
    private readonly BulkDoubts _doubts = new();
    private readonly BulkSize _size = new();
    private readonly BulkRequest _request = new(options.Index);
    private readonly ServerConnection _servers = new(options, time, logger);
    private readonly Backoff _pauses = new(TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(3));
    private readonly HashSet<string> _logged = new(StringComparer.Ordinal);
    private IndexCheck? _check;

    /// <summary>How often in a row the whole bulk was answered with 429, and one of a single record with 400.</summary>
    private (int Busy, int Refused) _wholes;

    public string Name => ElasticsearchOptions.SinkName;

    private IndexCheck Check => _check ??= new(_servers, options.Index);

    public void Dispose()
    {
        _servers.Dispose();
        _request.Dispose();
    }

    public async ValueTask WriteAsync(RecordBatch batch, CancellationToken cancellationToken)
    {
        var isOther = _items.Load(batch);
        if (isOther && _items.Unreadable > 0)
        {
            NoteRejected(NoId, "the line has no event.id or no @timestamp", _items.Unreadable);
        }
        _doubts.Begin(_items, isOther);
        if (_items.Pending > 0)
        {
            await Check.CheckAsync(_items.Days.First, _items.Days.Last, cancellationToken);
        }
        for (var inVain = 0; _items.Pending > 0;)
        {
            var before = _items.Pending;
            _request.Build(_items, _size);
            var answer = await _servers.SendBulkAsync(_request.Body, cancellationToken);
            var (problem, isTooLarge) = Take(answer);
            if (problem is null)
            {
                _pauses.Reset();
                inVain = 0;
                continue;
            }
            inVain = _items.Pending < before || isTooLarge ? 0 : inVain + 1;
            if (inVain == MaxInVain)
            {
                throw new SinkException(problem);
            }
            batch.Resend(_request.Count - (before - _items.Pending));
            if (!isTooLarge)
            {
                // Other nodes' exporters were refused at the same moment.
                await Task.Delay(_pauses.NextAtRandom(), time, cancellationToken);
            }
        }
        SettleDoubts(isEnd: true);
        _items.NoteRejected(batch);
    }

    /// <summary>Ends the way of all records that an answer settles.</summary>
    /// <returns>Why others are sent again, and whether it is at once and in a smaller bulk; null: the bulk is settled.</returns>
    private (string? Problem, bool IsTooLarge) Take(in ServerAnswer answer)
    {
        _wholes = (answer.Status == HttpStatusCode.TooManyRequests ? _wholes.Busy + 1 : 0, answer.Status == HttpStatusCode.BadRequest && _request.Count == 1 ? _wholes.Refused + 1 : 0);
        switch (answer.Status)
        {
            case HttpStatusCode.OK:
                var problem = TakeItems(answer);
                if (problem is null)
                {
                    _size.Note();
                }
                return (problem, false);
            case HttpStatusCode.TooManyRequests:
                if (_wholes.Busy > 1)
                {
                    // A bulk above the memory limit is refused however idle the server is.
                    _size.Halve(_request.Count, _request.Bytes);
                }
                return ($"{answer.From} is too busy ({answer.Describe()}); give it more memory, or export fewer records", false);
            case HttpStatusCode.BadRequest when answer.Describe() is var refusal && refusal.Contains("explicit index", StringComparison.Ordinal):
                throw new SinkException($"{answer.From} takes no bulk that names its index ({refusal}); set rest.action.multi.allow_explicit_index to true in the settings of the nodes");
            case HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.BadRequest when _request.Count > 1:
                _size.Halve(_request.Count, _request.Bytes);
                return ($"{answer.From} refuses a bulk ({answer.Describe()})", true);
            case HttpStatusCode.BadRequest when _wholes.Refused == 1:
                // It may have been broken on its way.
                return ($"{answer.From} refuses a bulk ({answer.Describe()})", false);
            case HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.BadRequest:
                var (type, remedy) = answer.Status == HttpStatusCode.BadRequest
                    ? ("bad_request", "correct the server, or the proxy before it")
                    : ("too_large", "raise the size of a request that it takes, or that a proxy before it takes");
                _doubts.Add(_items, _request[0], type, answer.Describe(), $"{answer.From} refuses each bulk, also with a single record ({answer.Describe()}); {remedy}");
                SettleDoubts(isEnd: false);
                return (null, false);
            default:
                throw new SinkException($"{answer.From} answers {answer.Describe()} to a bulk; set {ElasticsearchOptions.UrlsKey} to an Elasticsearch or OpenSearch");
        }
    }

    /// <summary>Compares the items of an answer with the records that were sent.</summary>
    /// <returns>Why records are sent again; null: none is.</returns>
    /// <exception cref="SinkException">An index is blocked, or refuses each record. The other records are settled.</exception>
    private string? TakeItems(in ServerAnswer answer)
    {
        var (place, again, blocked) = (0, (string?)null, (string?)null);
        try
        {
            var items = new BulkAnswer(answer.Body.Span);
            for (; place < _request.Count && items.MoveNext(); place++)
            {
                TakeItem(_request[place], items, ref again, ref blocked);
            }
        }
        catch (JsonException)
        {
            again = $"{answer.From} sent an answer that is cut off";
        }
        SettleDoubts(isEnd: false);
        if (blocked is not null)
        {
            // An index that is made again is checked again.
            Check.Forget();
            throw new SinkException(blocked);
        }
        return place < _request.Count ? again ?? string.Create(CultureInfo.InvariantCulture, $"{answer.From} answered for {place} of {_request.Count} records") : again;
    }

    private void TakeItem(int item, in BulkAnswer items, ref string? again, ref string? blocked)
    {
        var type = items.IsInFailureStore ? "failure_store" : items.Type;
        switch (items.IsInFailureStore ? ItemProblem.Refused : ItemProblems.Of(items.Status, type, items.Status == 400 ? items.Reason : ""))
        {
            case ItemProblem.None:
                _items.End(item, BulkItemState.Done);
                _doubts.NoteTaken();
                break;
            case ItemProblem.Busy:
                again ??= ItemProblems.Explain(IndexOf(item), items.Status, type, items.Reason);
                break;
            case ItemProblem.Blocked:
                blocked ??= ItemProblems.Explain(IndexOf(item), items.Status, type, items.Reason);
                break;
            case ItemProblem.Doubtful:
                _doubts.Add(_items, item, type, items.Reason, ItemProblems.Explain(IndexOf(item), items.Status, type, items.Reason));
                break;
            default:
                _items.End(item, BulkItemState.Rejected);
                NoteRejected(type, _logged.Contains(type) ? "" : items.Reason, 1);
                break;
        }
    }

    /// <summary>Rejects the records that were refused, if it is their fault.</summary>
    /// <exception cref="SinkException">It is not: they are sent again.</exception>
    private void SettleDoubts(bool isEnd)
    {
        if (!_doubts.TrySettle(_items, isEnd, (type, reason) => NoteRejected(type, reason, 1)))
        {
            // The index's template may have changed.
            Check.Forget();
            throw new SinkException(_doubts.Problem);
        }
    }

    private string IndexOf(int item) => BulkRequest.NameOf(options.Index, _items[item].Head.Day);

    /// <summary>Counts rejected records, and logs the first of a type.</summary>
    private void NoteRejected(string type, string reason, int count)
    {
        metrics.CountRejected(type, count);
        if (_logged.Count < MaxTypes && _logged.Add(type))
        {
            LogRejected(logger, type, ServerAnswer.Shorten(reason));
        }
    }

    [LoggerMessage(551, LogLevel.Error, "The servers of the sink elasticsearch reject a record: {Type}: {Reason}. It is counted as lost, as are further ones of this type, which are not logged; compare the index's mapping with 'podnet-exporter flows schema --for=elasticsearch'")]
    private static partial void LogRejected(ILogger logger, string type, string reason);
}
