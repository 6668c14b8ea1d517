using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Exporter.Kernel.Tests.Support;

/// <summary>A named network namespace of the test's own; deleted when disposed.</summary>
internal sealed class NetworkNamespace : IDisposable
{
    /// <summary>What an earlier, killed run left is recognized by this.</summary>
    internal const string Prefix = "pnt-";

    private const int CLONE_NEWNET = 0x40000000;

    internal NetworkNamespace(string name)
    {
        Name = Prefix + name;
        Shell.Ip($"netns add {Name}");
        Shell.Ip($"-n {Name} link set lo up");
    }

    internal string Name { get; }

    /// <summary>Runs on a thread of its own, which enters the namespace and ends: no other code ever runs in it.</summary>
    internal T Run<T>(Func<T> function)
    {
        T? result = default;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                using var file = File.OpenHandle($"/run/netns/{Name}");
                if (setns((int)file.DangerousGetHandle(), CLONE_NEWNET) < 0)
                {
                    throw new InvalidOperationException($"setns: errno {Marshal.GetLastPInvokeError()}");
                }
                result = function();
            }
            catch (Exception e)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        return failure is null ? result! : throw new InvalidOperationException($"In {Name}: {failure.Message}", failure);
    }

    /// <summary>A socket that stays in the namespace whoever uses it.</summary>
    internal Socket OpenSocket(AddressFamily family, SocketType type, ProtocolType protocol) =>
        Run(() => new Socket(family, type, protocol));

    internal string Ip(string line) => Shell.Ip($"-n {Name} {line}");

    internal string Exec(params string[] command) => Shell.Run("ip", ["netns", "exec", Name, .. command]);

    public void Dispose() => Shell.TryRun("ip", "netns", "delete", Name);

    [DllImport("libc", SetLastError = true)]
    private static extern int setns(int fd, int type);
}
