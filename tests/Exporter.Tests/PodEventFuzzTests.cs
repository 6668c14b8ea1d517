using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using Exporter.Kubernetes;
using Exporter.Tests.Kubernetes;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>Whatever an API server, or who is in between, may send.</summary>
public sealed class PodEventFuzzTests
{
    private const int Mutations = 20_000;

    private static readonly byte[][] Recorded =
    [
        .. new[] { "03-watch-lifecycle/watch", "04-pod-kinds/host-network/watch", "04-pod-kinds/job-ip-reused/watch", "04-pod-kinds/mirror-pod/watch", "04-pod-kinds/unicode/watch", "05-bookmarks/watch-quiet", "08-expired/watch-410-event" }
            .SelectMany(name => Transcript.Read(name).Lines)
            .Select(Encoding.UTF8.GetBytes),
    ];

    private static readonly string[] Tokens = ["null", "true", "[]", "{}", "\"\"", "1e999", "-0", "\"\\ud800\"", "\"9999-99-99T99:99:99Z\"", "\"0001-01-01T00:00:00+14:00\"", "{\"a\":", "[[[[[[[[", "\uFEFF", "\"type\":\"ERROR\",", "\"object\":null,"];

    [Fact]
    public void Any_bytes_are_an_event_or_not_readable() => Gen.Byte.Array[0, 200].Sample(line => { Parse(line); }, seed: "0000KOIPe036", iter: 5_000);

    [Fact]
    public void Any_text_that_looks_like_an_event_is_one_or_not_readable()
    {
        var value = Gen.OneOf(OneOf(Tokens), Gen.String.Select(text => JsonSerializer.Serialize(text)), Gen.Int.Select(number => number.ToString(CultureInfo.InvariantCulture)));
        var field = OneOf("uid", "name", "namespace", "resourceVersion", "deletionTimestamp", "labels", "annotations", "ownerReferences", "other");
        var part = Gen.Select(field, value, (name, text) => $"\"{name}\":{text}").Array[0, 6].Select(fields => $"{{{string.Join(',', fields)}}}");
        Gen.Select(OneOf("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "OTHER"), part, part, value)
            .Sample(
                (type, metadata, inner, status) =>
                {
                    Parse(Encoding.UTF8.GetBytes($"{{\"type\":\"{type}\",\"object\":{{\"metadata\":{metadata},\"spec\":{inner},\"status\":{{\"podIPs\":[{{\"ip\":{status}}}],\"phase\":{status}}}}}}}"));
                },
                seed: "0000KOIPe036",
                iter: 3_000);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_recorded_event_that_was_changed_anywhere_is_an_event_or_not_readable(int seed)
    {
        var random = new Random(seed);
        var read = 0;
        for (var mutation = 0; mutation < Mutations / 3; mutation++)
        {
            read += Parse(Mutate(Recorded[random.Next(Recorded.Length)], random)) ? 1 : 0;
        }
        // Neither is everything refused nor everything taken.
        Assert.InRange(read, Mutations / 30, Mutations / 3 * 9 / 10);
    }

    [Fact]
    public void A_recorded_event_that_was_cut_anywhere_is_not_readable()
    {
        foreach (var line in Recorded.DistinctBy(line => line.Length).Take(4))
        {
            for (var length = 0; length < line.Length; length++)
            {
                Assert.ThrowsAny<JsonException>(() => ReadEvent(line.AsSpan(0, length)));
            }
        }
    }

    [Fact]
    public void Deep_nesting_is_not_readable_and_does_no_harm()
    {
        foreach (var depth in (int[])[10, 63, 64, 65, 100_000])
        {
            Parse(Encoding.UTF8.GetBytes($"{{\"type\":\"ADDED\",\"object\":{{\"spec\":{{\"other\":{new string('[', depth)}{new string(']', depth)}}}}}}}"));
        }
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public async Task A_watch_of_changed_events_goes_on_and_is_right_again_when_they_are(int seed)
    {
        const int Streams = 60;
        var random = new Random(seed);
        var cluster = new Cluster(version: 1_000_000_000);
        cluster.Add(new("shop", "web"));
        await using var server = await ApiServer.CreateAsync(cluster);
        await using var node = new WatchingNode(server);
        server.Handle(
            request => request.IsWatch,
            context => context.StreamAsync([.. Enumerable.Range(0, 5).SelectMany(_ => (byte[])[.. Mutate(Recorded[random.Next(Recorded.Length)], random), (byte)'\n'])]),
            times: Streams);
        // The version before may be anything, also one that is still to come.
        server.AnswerWatches("no event\n");
        await node.StartAsync();
        var last = 0;
        for (var stream = 1; stream <= Streams + 1; stream++)
        {
            last = (await node.PassUntilAsync(request => request.IsWatch, after: last)).Number;
        }
        var list = await node.PassUntilAsync(request => request.IsList, after: last);
        var watch = await node.PassUntilAsync(request => request.IsWatch, after: list.Number);
        cluster.SetStatus("shop", "web", "Running", "10.0.0.1");
        await node.UntilAsync(() => node.Pods.SequenceEqual(["shop/web Running 10.0.0.1"]));

        Assert.Equal("1000000001", watch["resourceVersion"]);
        Assert.NotEqual(0, await node.CountErrorsAsync("unreadable"));
        Assert.Empty(server.Failures);
    }

    [Theory]
    [InlineData(21)]
    public async Task Changed_lists_are_pods_or_not_readable_and_the_right_one_is_taken(int seed)
    {
        const int Lists = 60;
        var random = new Random(seed);
        var recorded = Transcript.Read("08-expired/list-again").Body;
        var cluster = new Cluster(version: 1_000_000_000);
        cluster.Add(new("shop", "web"));
        await using var server = await ApiServer.CreateAsync(cluster);
        await using var node = new WatchingNode(server);
        server.Handle(request => request.IsList, context => context.StreamAsync(Mutate(recorded, random)), times: Lists);
        server.AnswerWatches("no event\n", times: Lists);
        await node.StartAsync();
        var last = 0;
        for (var list = 1; list <= Lists; list++)
        {
            last = (await node.PassUntilAsync(request => request.IsList, after: last)).Number;
        }
        server.ClearAnswers();
        await node.PassUntilAsync(request => request["resourceVersion"] == "1000000001", after: last);
        await node.UntilAsync(() => node.Pods.SequenceEqual(["shop/web Pending"]));
        Assert.Empty(server.Failures);
    }

    private static Gen<string> OneOf(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(index => texts[index]);

    private static bool Parse(byte[] line)
    {
        try
        {
            var change = ReadEvent(line);
            // What is done with it next must not fail either.
            _ = change.Object.Describe();
            _ = change.Object.Key;
            _ = change.Object.Status.FindAddresses();
            _ = change.Object.Status.FindEndTime();
            return true;
        }
        catch (ApiException)
        {
            // An ERROR is readable.
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static ResourceEvent<PodDocument> ReadEvent(ReadOnlySpan<byte> line) => ResourceEvent<PodDocument>.Parse(line, PodDocumentContext.Default.ObjectEventPodDocument);

    private static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = original.ToList();
        for (var change = random.Next(1, 4); change > 0; change--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, Math.Min(random.Next(1, 20), bytes.Count - at));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(random.Next(1, 200), bytes.Count - at)));
                    break;
                case 4:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(Tokens[random.Next(Tokens.Length)]));
                    break;
                case 5:
                    ReplaceValue(bytes, at, Encoding.UTF8.GetBytes(Tokens[random.Next(Tokens.Length)]));
                    break;
                default:
                    bytes.RemoveRange(at, random.Next(10) == 0 ? bytes.Count - at : 0);
                    break;
            }
            if (bytes.Count == 0)
            {
                break;
            }
        }
        return [.. bytes];
    }

    /// <summary>So that many are still JSON.</summary>
    private static void ReplaceValue(List<byte> bytes, int from, byte[] value)
    {
        var begin = bytes.IndexOf((byte)':', from) + 1;
        var end = begin > 0 ? bytes.FindIndex(begin, character => character is (byte)',' or (byte)'}') : -1;
        if (end > 0)
        {
            bytes.RemoveRange(begin, end - begin);
            bytes.InsertRange(begin, value);
        }
    }
}
