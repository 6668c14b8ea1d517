using System.IO.Compression;
using System.Net;
using System.Text;
using Exporter.Commands;
using Exporter.Server;
using Exporter.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;

namespace Exporter.Tests;

/// <summary>Methods and codings that the real server answers with.</summary>
public sealed class ServerAnswerTests
{
    private static readonly string[] Paths = ["/metrics", "/healthz", "/readyz", "/", "/api/v1/pods", "/api/v1/bpf"];

    [Theory]
    [InlineData(null, false)]
    [InlineData("", false)]
    [InlineData("gzip", true)]
    [InlineData("GZIP", true)]
    [InlineData("x-gzip", true)]
    [InlineData("br", false)]
    [InlineData("deflate, gzip;q=1.0, *;q=0.5", true)]
    [InlineData("gzip;q=0", false)]
    [InlineData("gzip;q=0.0, *", false)]
    [InlineData("gzip ; q=0.001", true)]
    [InlineData("identity, gzip", true)]
    [InlineData("identity;q=1, gzip;q=0.5", false)]
    [InlineData("identity;q=0.5, gzip;q=0.5", true)]
    [InlineData("identity;q=0", null)]
    [InlineData("identity;q=0, gzip", true)]
    [InlineData("identity;q=0, *", true)]
    [InlineData("*", true)]
    [InlineData("*;q=0", null)]
    [InlineData("*;q=0, gzip", true)]
    [InlineData("*;q=0, identity", false)]
    [InlineData("gzip;q=0, identity;q=0", null)]
    [InlineData("gzip;q=0.2, *;q=0.5", false)]
    [InlineData("gzip;q=nonsense", false)]
    [InlineData("gzip;q=2", false)]
    [InlineData(",, gzip ,", true)]
    [InlineData("gzipped", false)]
    public void Gzip_is_chosen_where_the_client_prefers_it_and_nothing_where_it_takes_neither(string? acceptEncoding, bool? isZipped) =>
        Assert.Equal(isZipped, ContentCoding.Choose(acceptEncoding));

    [Fact]
    public void Several_lines_of_the_header_count_as_one() => Assert.True(ContentCoding.Choose(new(["br", "gzip"])));

    /// <summary>A node that stands still for a second is no fault of the program's threads, as Kestrel would have it.</summary>
    [Fact]
    public async Task Kestrel_logs_errors_and_no_warnings()
    {
        var options = TestOptions.Read([("Server:Urls", "http://127.0.0.1:0")]);
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new("Logging:Console:LogLevel:Microsoft.Hosting.Lifetime", "None")]).Build();
        await using var server = await ServerHost.StartAsync(options.Server, configuration);

        var logger = server.LoggerFactory.CreateLogger("Microsoft.AspNetCore.Server.Kestrel");
        Assert.False(logger.IsEnabled(LogLevel.Warning));
        Assert.True(logger.IsEnabled(LogLevel.Error));
        Assert.True(server.Logger.IsEnabled(LogLevel.Warning));
    }

    [Theory]
    [InlineData("/metrics")]
    [InlineData("/")]
    public async Task A_compressed_answer_is_one_gzip_member_with_the_same_text(string path)
    {
        await using var server = await RunningServer.StartAsync();
        server.Serve();
        // Two scrapes of the process's own numbers differ.
        static IEnumerable<string> Lines(string text) => text.Split('\n').Where(line => !line.StartsWith("process_", StringComparison.Ordinal) && !line.StartsWith("dotnet_", StringComparison.Ordinal));

        var plain = await server.Http.GetAsync(path);
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("Accept-Encoding", "gzip");
        var zipped = await server.Http.SendAsync(request);

        Assert.Equal((HttpStatusCode.OK, "gzip"), (zipped.StatusCode, zipped.Content.Headers.ContentEncoding.Single()));
        Assert.Empty(plain.Content.Headers.ContentEncoding);
        var vary = path == "/metrics" ? "Accept, Accept-Encoding" : "Accept-Encoding";
        Assert.Equal((vary, vary), (plain.Headers.Vary.ToString(), zipped.Headers.Vary.ToString()));
        Assert.Equal(plain.Content.Headers.ContentType, zipped.Content.Headers.ContentType);
        var bytes = await zipped.Content.ReadAsByteArrayAsync();
        Assert.Equal(Lines(await plain.Content.ReadAsStringAsync()), Lines(Encoding.UTF8.GetString(ReadOneMember(bytes))));
    }

    [Theory]
    [InlineData("application/openmetrics-text;q=0, */*", "text/plain")]
    [InlineData("application/openmetrics-text;q=0.5, text/plain;q=0.3", "application/openmetrics-text")]
    [InlineData("application/openmetrics-text;q=0.3, text/plain;q=0.5", "text/plain")]
    [InlineData("text/html", "text/plain")]
    public async Task The_format_is_the_one_that_the_client_prefers_and_none_that_it_refuses(string accept, string type)
    {
        await using var server = await RunningServer.StartAsync();
        server.Serve();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Add("Accept", accept);

        Assert.Equal(type, (await server.Http.SendAsync(request)).Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task A_client_that_takes_neither_gzip_nor_identity_gets_406()
    {
        await using var server = await RunningServer.StartAsync();
        server.Serve();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Add("Accept-Encoding", "identity;q=0, gzip;q=0");

        Assert.Equal(HttpStatusCode.NotAcceptable, (await server.Http.SendAsync(request)).StatusCode);
    }

    [Fact]
    public async Task HEAD_is_answered_as_GET_without_the_body()
    {
        await using var server = await RunningServer.StartAsync();
        server.Serve();
        foreach (var path in Paths)
        {
            var get = await server.Http.GetAsync(path);
            using var request = new HttpRequestMessage(HttpMethod.Head, path);
            var head = await server.Http.SendAsync(request);

            Assert.Equal((path, get.StatusCode, get.Content.Headers.ContentType?.ToString()), (path, head.StatusCode, head.Content.Headers.ContentType?.ToString()));
            Assert.Empty(await head.Content.ReadAsByteArrayAsync());
        }
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("OPTIONS")]
    [InlineData("TRACE")]
    [InlineData("PATCH")]
    [InlineData("NONSENSE")]
    public async Task Any_other_method_gets_405_with_the_methods_there_are(string method)
    {
        await using var server = await RunningServer.StartAsync();
        server.Serve();
        foreach (var path in Paths)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path);
            var answer = await server.Http.SendAsync(request);

            Assert.Equal((path, HttpStatusCode.MethodNotAllowed), (path, answer.StatusCode));
            Assert.Equal(["GET", "HEAD"], answer.Content.Headers.Allow.Order());
        }
        using var unknown = new HttpRequestMessage(new HttpMethod(method), "/nowhere");
        Assert.Equal(HttpStatusCode.NotFound, (await server.Http.SendAsync(unknown)).StatusCode);
    }

    /// <summary>RFC 1952: a member ends with the length of its content; a second one would follow that.</summary>
    private static byte[] ReadOneMember(byte[] bytes)
    {
        using var unpacked = new MemoryStream();
        using (var stream = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress))
        {
            stream.CopyTo(unpacked);
        }
        Assert.Equal(unpacked.Length, BitConverter.ToUInt32(bytes.AsSpan(^4)));
        return unpacked.ToArray();
    }
}
