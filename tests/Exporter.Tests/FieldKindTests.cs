using CsCheck;
using Exporter.Bpf;

namespace Exporter.Tests;

/// <summary>Values of a field become one by its kind.</summary>
public sealed class FieldKindTests
{
    private static readonly RowFields Fields = new("test", ["sum", "most", "least", "last", "bits"], new Dictionary<string, FieldKind>
    {
        ["most"] = FieldKind.Maximum,
        ["least"] = FieldKind.Minimum,
        ["last"] = FieldKind.Last,
        ["bits"] = FieldKind.Bits,
    });

    [Theory]
    [InlineData("sum", 12)]
    [InlineData("most", 7)]
    [InlineData("least", 2)]
    [InlineData("last", 3)]
    [InlineData("bits", 7)]
    public void Each_kind_has_its_own_way(string field, ulong expected) => Assert.Equal(expected, Merged(field, 7, 2, 3));

    [Theory]
    [InlineData("least")]
    [InlineData("last")]
    public void Zero_is_no_value(string field)
    {
        Assert.Equal(5ul, Merged(field, 0, 5, 0));
        Assert.Equal(0ul, Merged(field, 0, 0));
    }

    [Fact]
    public void Rows_of_sums_alone_add_up_as_one_by_one() =>
        (from length in Gen.Int[1, 40] from values in Gen.ULong.Array[2 * length] select values).Sample(values =>
        {
            var half = values.Length / 2;
            var sums = new RowFields("sums", [.. Enumerable.Range(0, half).Select(number => $"field{number}")]);
            var total = values[..half];

            sums.Merge(total, values.AsSpan(half));

            Assert.Equal(values[..half].Zip(values[half..], (one, other) => unchecked(one + other)), total);
        });

    private static ulong Merged(string field, params ulong[] values)
    {
        var (total, index) = (new ulong[Fields.Count], Fields.IndexOf(field));
        foreach (var value in values)
        {
            var row = new ulong[Fields.Count];
            row[index] = value;
            Fields.Merge(total, row);
        }
        return total[index];
    }
}
