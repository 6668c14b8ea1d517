using System.Text;
using Exporter.Export;
using Exporter.Export.Elasticsearch;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The parts that bulks are made of, and that they allocate nothing for a record.</summary>
public sealed class ElasticsearchBulkTests
{
    [Theory]
    [InlineData("""{"@timestamp":"2026-11-28T23:59:59.999Z","event":{"id":"abc"}}""", "abc", 2026, 11, 28)]
    [InlineData("""{"event":{"dataset":"x","id":"abc","start":{"id":"no"}},"other":[1,{"event":{"id":"no"}}],"@timestamp":"2026-11-28T00:00:00.000Z"}""", "abc", 2026, 11, 28)]
    [InlineData("""{"@timestamp":"2026-11-28T23:00:00.000-02:00","event":{"start":"x","id":"a\"c"}}""", "a\\\"c", 2026, 11, 29)]
    public void The_id_and_the_day_of_a_record_are_read_whatever_their_order_is(string line, string id, int year, int month, int day)
    {
        var bytes = Encoding.UTF8.GetBytes(line);

        Assert.True(RecordHead.TryRead(bytes, out var head));
        Assert.Equal(id, Encoding.UTF8.GetString(bytes.AsSpan(head.Id, head.IdLength)));
        Assert.Equal(new DateOnly(year, month, day).DayNumber, head.Day);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"@timestamp":1,"event":{"id":"abc"}}""")]
    [InlineData("""{"@timestamp":"2026-11-28T23:59:59.999Z","event":{"id":""}}""")]
    [InlineData("""{"@timestamp":"2026-11-28T23:59:59.999Z","event":{"id":1}}""")]
    [InlineData("""{"@timestamp":"2026-11-28T23:59:59.999Z","event":"abc"}""")]
    [InlineData("""{"@timestamp":"2026-13-28T23:59:59.999Z","event":{"id":"abc"}}""")]
    public void A_line_without_an_id_or_a_time_has_no_head(string line) => Assert.False(RecordHead.TryRead(Encoding.UTF8.GetBytes(line), out _));

    [Fact]
    public void Every_sample_record_has_a_head() => Assert.All(SampleRecords.Lines(), line => Assert.True(RecordHead.TryRead(Encoding.UTF8.GetBytes(line), out _)));

    [Fact]
    public void A_bulk_allocates_for_itself_and_not_for_its_records()
    {
        var line = SampleRecords.Lines()[0];
        var few = new RecordBatches().Of(Enumerable.Range(0, 1000).Select(i => line.Replace("RpfRn87", $"{i:0000000}", StringComparison.Ordinal)));
        var small = Allocated(few);
        var many = new RecordBatches().Of(Enumerable.Range(0, 4000).Select(i => line.Replace("RpfRn87", $"{i:0000000}", StringComparison.Ordinal)));

        Assert.InRange(Allocated(many), 0, small + 1000);

        static long Allocated(RecordBatch batch)
        {
            var (items, size) = (new BulkItems(), new BulkSize());
            using var request = new BulkRequest("podnet-flow");
            var answer = Encoding.UTF8.GetBytes($$"""{"errors":false,"items":[{{string.Join(',', Enumerable.Repeat("""{"create":{"status":201}}""", batch.Count))}}]}""");
            long least = long.MaxValue;
            for (var i = 0; i < 20; i++)
            {
                // The same batch counts as another one.
                if (i > 0)
                {
                    items.Forget();
                }
                var before = GC.GetAllocatedBytesForCurrentThread();
                items.Load(batch);
                request.Build(items, size);
                var read = new BulkAnswer(answer);
                for (var place = 0; read.MoveNext(); place++)
                {
                    Assert.True(read.Status == 201);
                    items.End(request[place], BulkItemState.Done);
                }
                least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
                Assert.Equal(0, items.Pending);
            }
            return least;
        }
    }

    [Theory]
    [InlineData(200, "", false)]
    [InlineData(201, "", false)]
    [InlineData(409, "version_conflict_engine_exception", false)]
    [InlineData(429, "cluster_block_exception", true)]
    public void A_record_that_is_there_is_not_a_problem_and_a_full_disk_passes(int status, string type, bool isBusy) =>
        Assert.Equal(isBusy ? ItemProblem.Busy : ItemProblem.None, ItemProblems.Of(status, type, ""));

    [Theory]
    [InlineData(400, "index_closed_exception", true)]
    [InlineData(400, "es_index_closed_exception", true)]
    [InlineData(400, "validation_exception", true)]
    [InlineData(403, "security_exception", true)]
    [InlineData(404, "index_not_found_exception", true)]
    [InlineData(400, "mapper_parsing_exception", false)]
    [InlineData(400, "document_parsing_exception", false)]
    public void A_block_of_an_index_is_told_from_a_refused_record(int status, string type, bool isBlocked) =>
        Assert.Equal(isBlocked ? ItemProblem.Blocked : ItemProblem.Refused, ItemProblems.Of(status, type, ""));

    [Fact]
    public void A_record_in_a_failure_store_is_seen()
    {
        var answer = new BulkAnswer("""{"errors":false,"items":[{"create":{"failure_store":"not_applicable_or_unknown","status":201}},{"create":{"failure_store":"used","status":201}}]}"""u8);

        Assert.True(answer.MoveNext());
        Assert.False(answer.IsInFailureStore);
        Assert.True(answer.MoveNext());
        Assert.True(answer.IsInFailureStore);
        Assert.False(answer.MoveNext());
    }
}
