using Microsoft.Win32.SafeHandles;

namespace Exporter.Bpf.Native;

/// <summary>Owns a struct bpf_link, and with it the attachment of a program.</summary>
internal sealed class BpfLinkHandle : SafeHandleZeroOrMinusOneIsInvalid
{
    public BpfLinkHandle()
        : base(ownsHandle: true)
    {
    }

    protected override bool ReleaseHandle() => Libbpf.bpf_link__destroy(handle) == 0;
}
