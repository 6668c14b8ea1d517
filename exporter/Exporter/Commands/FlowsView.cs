using System.Text;
using Exporter.Verification;

namespace Exporter.Commands;

/// <summary>Prints the records that an exporter answers with, each interval once.</summary>
/// <param name="isJson">Whether records are printed as they came; else as a table.</param>
/// <param name="output">Records only.</param>
internal sealed class FlowsView(FlowsClient client, Uri exporter, FlowsFilter filter, bool isJson, TextWriter output, TextWriter notes)
{
    /// <summary>An interval has at least this length. An answer whose interval was printed is read no further than to its first record.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly Uri _url = FlowsClient.PageOf(exporter, "/api/v1/flows");
    private (string Epoch, ulong Interval)? _printed;
    private bool _hasHeader;

    /// <summary>The notes that were printed: the next answer may ask for the same, a second later.</summary>
    private (bool None, bool Bad) _noted;

    /// <summary>Prints the last interval, if it was not printed before.</summary>
    /// <exception cref="FlowsException">The exporter has not answered with records.</exception>
    internal async Task ShowAsync(CancellationToken cancellationToken)
    {
        await using var body = await client.GetAsync(
            _url, "application/x-ndjson", "flows are off, or the exporter is too old for them; set Flows:Enabled=true", cancellationToken);
        try
        {
            await PrintAsync(new(body), cancellationToken);
        }
        finally
        {
            await output.FlushAsync(CancellationToken.None);
        }
    }

    /// <summary>Prints intervals until it is cancelled. Once there was an answer, later failures are noted, and tried again.</summary>
    /// <exception cref="FlowsException">The first answer was not records.</exception>
    internal async Task FollowAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        await ShowAsync(cancellationToken);
        var isFailing = false;
        while (true)
        {
            await Task.Delay(Pause, time, cancellationToken);
            try
            {
                await ShowAsync(cancellationToken);
                isFailing = false;
            }
            catch (FlowsException e)
            {
                if (!isFailing)
                {
                    notes.WriteLine($"{e.Message}; trying again");
                }
                isFailing = true;
            }
        }
    }

    private async Task PrintAsync(LineReader lines, CancellationToken cancellationToken)
    {
        // For each answer: it keeps the texts that it reads.
        var record = new RecordReader(RecordFields.All);
        var (isFirst, bad) = (true, 0);
        while (await lines.ReadAsync(cancellationToken))
        {
            if (lines.IsTooLong || record.Read(lines.Line.Span) != LineOutcome.Record)
            {
                bad++;
                continue;
            }
            if (isFirst && record.Text(RecordField.Epoch) is { } epoch && !TryBegin(epoch, record.Required(RecordField.Interval)))
            {
                return;
            }
            isFirst &= record.Text(RecordField.Epoch) is null;
            if (filter.Fits(record))
            {
                Print(record, lines.Line.Span);
            }
        }
        if (bad > 0 && !_noted.Bad)
        {
            notes.WriteLine($"{bad} lines of the answer are not records of schema 1, and are not printed: is this program's version the exporter's?");
        }
        else if (bad == 0 && isFirst && _printed is null && !_noted.None)
        {
            notes.WriteLine("no interval has ended yet");
            _noted.None = true;
        }
        _noted.Bad = bad > 0;
    }

    /// <returns>False: the interval was printed.</returns>
    private bool TryBegin(string epoch, ulong interval)
    {
        if (_printed is { } printed && printed.Epoch == epoch)
        {
            if (printed.Interval == interval)
            {
                return false;
            }
            if (interval > printed.Interval + 1)
            {
                notes.WriteLine($"intervals {printed.Interval + 1} to {interval - 1} were replaced before they could be asked for");
            }
        }
        _printed = (epoch, interval);
        return true;
    }

    private void Print(RecordReader record, ReadOnlySpan<byte> line)
    {
        if (isJson)
        {
            output.WriteLine(Encoding.UTF8.GetString(line));
        }
        else if (record.Dataset is Dataset.Flow or Dataset.Rest)
        {
            if (!_hasHeader)
            {
                output.WriteLine(FlowsTable.Header);
                _hasHeader = true;
            }
            output.WriteLine(FlowsTable.Row(record));
        }
    }
}
