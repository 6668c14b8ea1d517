using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>An end of the process that waits for nothing (_exit(2)): no handler, no destructor, no other thread.</summary>
public static class ImmediateExit
{
    public static void Run(int exitCode) => Libc._exit(exitCode);
}
