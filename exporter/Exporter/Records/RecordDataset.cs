namespace Exporter.Records;

/// <summary>The kinds of records; the value of event.dataset is their name behind "podnet.". Event ids contain the numbers.</summary>
internal enum RecordDataset : byte
{
    Flow = 1,
    Rest = 2,
    Interval = 3,
    Identity = 4,
}
