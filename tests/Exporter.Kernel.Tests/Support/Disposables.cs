namespace Exporter.Kernel.Tests.Support;

/// <summary>Several things that end together.</summary>
internal sealed class Disposables<T>(IReadOnlyList<T> all) : IDisposable
    where T : IDisposable
{
    internal IReadOnlyList<T> All => all;

    public void Dispose()
    {
        foreach (var one in all)
        {
            one.Dispose();
        }
    }
}
