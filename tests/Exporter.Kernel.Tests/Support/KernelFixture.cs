using Exporter.Kernel.Tests.Support;

[assembly: AssemblyFixture(typeof(KernelFixture))]

// Namespaces, interfaces and the CPUs' time are shared by all tests of this ring.
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]

namespace Exporter.Kernel.Tests.Support;

/// <summary>Sweeps away what a killed run left, before the first test and after the last.</summary>
public sealed class KernelFixture : IDisposable
{
    public KernelFixture()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "The kernel ring needs root: it makes network namespaces and loads BPF programs.");
        Sweep();
    }

    public void Dispose() => Sweep();

    private static void Sweep()
    {
        if (Directory.Exists("/run/netns"))
        {
            foreach (var path in Directory.GetFiles("/run/netns", NetworkNamespace.Prefix + "*"))
            {
                Shell.TryRun("ip", "netns", "delete", Path.GetFileName(path));
            }
        }
        foreach (var path in Directory.GetFileSystemEntries("/sys/class/net", "pnt*"))
        {
            Shell.TryRun("ip", "link", "delete", Path.GetFileName(path));
        }
    }
}
