using System.Globalization;
using Exporter.Kernel.Tests.Support;

namespace Exporter.Benchmarks;

/// <summary>Many veth pairs whose other ends are in one namespace, as good as many pods for the one who attaches.</summary>
internal sealed class Veths : IDisposable
{
    private readonly NetworkNamespace _namespace = new("veths");
    private int _count;

    internal Veths(int count) => Add(count);

    internal IEnumerable<int> Ifindexes => Enumerable.Range(0, _count).Select(Ifindex);

    /// <summary>One more; returns its index.</summary>
    internal int Add()
    {
        Add(1);
        return Ifindex(_count - 1);
    }

    public void Dispose()
    {
        // All of them go at once with the namespace that has their other ends.
        _namespace.Dispose();
        SpinWait.SpinUntil(() => !Directory.EnumerateFileSystemEntries("/sys/class/net", "pntb*").Any(), TimeSpan.FromMinutes(2));
    }

    private static int Ifindex(int number) =>
        int.Parse(File.ReadAllText($"/sys/class/net/pntb{number}/ifindex"), CultureInfo.InvariantCulture);

    private void Add(int count)
    {
        var batch = Path.GetTempFileName();
        File.WriteAllLines(batch, Enumerable.Range(_count, count).Select(i => $"link add pntb{i} type veth peer name p{i} netns {_namespace.Name}"));
        Shell.Run("ip", "-batch", batch);
        File.Delete(batch);
        _count += count;
    }
}
