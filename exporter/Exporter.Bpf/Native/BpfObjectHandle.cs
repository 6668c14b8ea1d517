using Microsoft.Win32.SafeHandles;

namespace Exporter.Bpf.Native;

/// <summary>Owns a struct bpf_object, and with it the file descriptors of its programs and maps.</summary>
internal sealed class BpfObjectHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public BpfObjectHandle()
        : base(ownsHandle: true)
    {
    }

    protected override bool ReleaseHandle()
    {
        Libbpf.bpf_object__close(handle);
        return true;
    }
}
