using Exporter.Records;
using Exporter.Verification;
using Defined = Exporter.Records.RecordFields;
using Read = Exporter.Verification.RecordFields;

namespace Exporter.Tests;

/// <summary>The verifier reads the fields that are defined for records, and requires no others than these do.</summary>
public sealed class VerifiedFieldsTests
{
    [Fact]
    public void Each_field_that_is_read_is_defined_with_a_type_that_is_read_so() => Assert.All(Read.All, field =>
    {
        var defined = Defined.All.Single(one => one.Path == Read.PathOf(field));
        Assert.Equal(defined.Type switch { FieldType.Integer => FieldKind.Count, FieldType.Date => FieldKind.Time, _ => FieldKind.Text }, Read.KindOf(field) == FieldKind.Id ? FieldKind.Text : Read.KindOf(field));
    });

    [Theory]
    [InlineData(Dataset.Flow, RecordDataset.Flow)]
    [InlineData(Dataset.Rest, RecordDataset.Rest)]
    [InlineData(Dataset.Interval, RecordDataset.Interval)]
    [InlineData(Dataset.Identity, RecordDataset.Identity)]
    public void Each_field_that_a_record_has_to_have_is_in_every_record(object read, object defined) => Assert.All(
        Read.RequiredOf((Dataset)read).ToArray(),
        field => Assert.True(Defined.All.Single(one => one.Path == Read.PathOf(field)) is { IsRequired: true } one && one.IsIn((RecordDataset)defined), Read.PathOf(field)));
}
