using System.IO.Compression;
using System.Text;
using CsCheck;
using Exporter.Exposition;

namespace Exporter.Tests;

/// <summary>A gzip stream whose beginning is compressed once.</summary>
public sealed class ZippedTextTests
{
    private const int TrailerBytes = 8;

    [Fact]
    public void Any_beginning_and_end_are_one_member_that_any_reader_reads() =>
        (from beginnings in Gen.Byte.Array[0, 3000].Array[1, 3] from end in Gen.Byte.Array[0, 3000] select (beginnings, end)).Sample(
            drawn =>
            {
                var zipped = new ZippedText();
                foreach (var beginning in drawn.beginnings)
                {
                    // As it is done for one drain after the other.
                    zipped.Write(beginning);
                    AssertReads([.. beginning, .. drawn.end], [.. zipped.Beginning.Span, .. zipped.End(drawn.end)]);
                    AssertReads(beginning, [.. zipped.Beginning.Span, .. zipped.End([])]);
                }
            },
            iter: 200);

    [Fact]
    public void A_long_text_of_metrics_is_small()
    {
        var text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 20_000).Select(i => $"podnet_transmit_bytes_total{{namespace=\"shop\",pod=\"web-{i / 50}\",transport=\"tcp\"}} {i * 7919L}\n")));
        var zipped = new ZippedText();
        zipped.Write(text);

        AssertReads([.. text, (byte)'!'], [.. zipped.Beginning.Span, .. zipped.End("!"u8)]);
        Assert.InRange(zipped.Beginning.Length, 0, text.Length * 15 / 100);
    }

    private static void AssertReads(byte[] expected, byte[] stream)
    {
        using var gzip = new GZipStream(new MemoryStream(stream), CompressionMode.Decompress);
        using var read = new MemoryStream();
        gzip.CopyTo(read);
        Assert.Equal(expected, read.ToArray());
        // Readers that stop at the end of the first member have read all: behind its blocks is only the trailer.
        using var deflated = new MemoryStream(stream, 10, stream.Length - 10 - TrailerBytes);
        using var member = new DeflateStream(deflated, CompressionMode.Decompress);
        using var again = new MemoryStream();
        member.CopyTo(again);
        Assert.Equal(expected, again.ToArray());
    }
}
