using System.Runtime.InteropServices;

namespace Exporter.Bpf.Native;

/// <summary>Keeps a descriptor open while its number is used, as for a structure of the kernel, where no handle can be passed.</summary>
internal readonly ref struct HeldDescriptor
{
    private readonly SafeHandle _owner;

    /// <exception cref="ObjectDisposedException">The descriptor is closed.</exception>
    internal HeldDescriptor(SafeHandle owner)
    {
        _owner = owner;
        var isHeld = false;
        owner.DangerousAddRef(ref isHeld);
    }

    internal int Fd => (int)_owner.DangerousGetHandle();

    public void Dispose() => _owner.DangerousRelease();
}
