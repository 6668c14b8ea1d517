using System.Globalization;
using Exporter.Pods;
using Exporter.Signals;

namespace Exporter.Kernel.Tests.SocketStates;

/// <summary>Writes a line for each row that is observed: the pod, the changes, and whether it was committed by a previous process.</summary>
internal sealed class RowFile(string path) : IRowObserver
{
    public void Observe(in DrainedRows drained, ReadOnlySpan<byte> key, PodInterface? owner, ReadOnlySpan<ulong> row) => File.AppendAllText(
        path, string.Create(CultureInfo.InvariantCulture, $"{owner?.Pod?.Name ?? "-"} {row[drained.Signal.IndexOf("changes")]} {(drained.IsRepeated ? "repeated" : "new")}\n"));
}
