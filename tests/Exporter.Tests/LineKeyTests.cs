using System.Text;
using Exporter.Records;
using Exporter.Signals.Flows;
using Exporter.Tests.Support;

namespace Exporter.Tests;

/// <summary>The keys by which a sink puts lines into partitions.</summary>
public sealed class LineKeyTests
{
    private static readonly RecordContext Hiding = SampleRecords.Context with
    {
        Observer = new(new byte[RecordObserver.EpochLength], SampleRecords.Node, "") { Salt = new byte[16] },
        Addresses = AddressPolicy.Prefix,
    };

    private readonly LineKey _key = new();

    [Fact]
    public void A_flow_has_the_address_port_and_protocol_of_the_end_that_began() =>
        Assert.Equal("10.0.0.14|45717|6", Text(SampleRecords.Context, SampleRecords.Tcp()));

    [Fact]
    public void Where_addresses_are_hidden_the_key_has_no_address_and_still_depends_on_it()
    {
        var (one, other) = (SampleRecords.Tcp(), SampleRecords.Tcp());
        other.Source.Address = FlowAddress.Parse("10.0.0.15");

        Assert.Matches("^[A-Za-z0-9_-]{22}$", Text(Hiding, one));
        Assert.Equal(Text(Hiding, one), Text(Hiding, SampleRecords.Tcp()));
        Assert.NotEqual(Text(Hiding, one), Text(Hiding, other));
    }

    [Fact]
    public void Records_without_addresses_have_keys_by_the_names_of_their_sources()
    {
        var (one, other) = (SampleRecords.Tcp(), SampleRecords.Tcp());
        one.Source.Address = other.Source.Address = default;
        other.Source.End = new() { Namespace = "shop", Workload = "cart" };

        Assert.NotEqual(Text(SampleRecords.Context, one), Text(SampleRecords.Context, other));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(long.MaxValue >> 1)]
    public void The_header_of_an_interval_keeps_its_budget(long budget)
    {
        Span<ulong> row = stackalloc ulong[FlowBook.Fields.Count];
        var header = new FlowHeader(31, 7, SampleRecords.Context.Start, new(SampleRecords.Context.End, 5, 250), new(SampleRecords.Context.Start, 5, 250), 9, budget);

        header.Write(row);

        Assert.Equal(header, FlowHeader.Read(row));
        Assert.NotEqual(0ul, row[FlowBook.Index.Budget]);
    }

    private string Text(RecordContext context, FlowRecord record) => Encoding.ASCII.GetString(_key.Of(context, record));
}
