using Exporter.Bpf.Native;

namespace Exporter.Bpf.Attach;

/// <summary>
/// An XDP program that is attached to an interface by a link. Disposing detaches it. Without that, a pinned link stays, and any other ends with the
/// process.
/// </summary>
public sealed unsafe class XdpAttachment : IDisposable
{
    private readonly PinDirectory? _pins;
    private readonly string _pinName;
    private readonly FileDescriptor _link;

    internal XdpAttachment(PinDirectory? pins, string pinName, int ifindex, FileDescriptor link) =>
        (_pins, _pinName, Ifindex, _link) = (pins, pinName, ifindex, link);

    public int Ifindex { get; }

    /// <summary>Whether the link is still the interface's: 0 where that is gone, or somebody has detached the link.</summary>
    public bool IsAttached => ReadIfindex(_link) == Ifindex;

    /// <summary>False where somebody has removed the pin; true where it is there, or none is to be made.</summary>
    public bool IsPinned => _pins is null || _pins.Has(_pinName) || _pins.IsLost;

    /// <summary>Puts a program in the place of the one that is attached, in one step: no frame is missed or seen by both.</summary>
    /// <exception cref="BpfException">The kernel refused; the previous program keeps running.</exception>
    public void Renew(BpfProgram program)
    {
        var error = Libbpf.bpf_link_update((int)_link.DangerousGetHandle(), program.Fd, null);
        if (error < 0)
        {
            throw new BpfException($"put {program.Name} in its predecessor's place on interface {Ifindex}", -error);
        }
    }

    /// <summary>Pins the link, again where somebody has removed the pin. Nothing is pinned in a directory that no other process would find.</summary>
    /// <exception cref="PinException">It cannot be pinned.</exception>
    public void Pin()
    {
        if (_pins is { IsLost: false })
        {
            _pins.MakePart(Path.GetDirectoryName(_pinName)!);
            _pins.Pin((int)_link.DangerousGetHandle(), _pinName);
        }
    }

    public void Dispose()
    {
        if (_link.IsClosed)
        {
            return;
        }
        // A pin that cannot be removed, or is where no path leads, would keep the hook.
        _ = Libbpf.bpf_link_detach((int)_link.DangerousGetHandle());
        _link.Dispose();
        _pins?.Remove(_pinName);
    }

    /// <summary>The interface of an XDP link; 0 where that is gone, or it is no XDP link.</summary>
    internal static int ReadIfindex(FileDescriptor link)
    {
        Libbpf.bpf_link_info info = default;
        var size = (uint)sizeof(Libbpf.bpf_link_info);
        return Libbpf.bpf_obj_get_info_by_fd((int)link.DangerousGetHandle(), &info, &size) == 0 && info.type == Libbpf.BPF_LINK_TYPE_XDP ? (int)info.ifindex : 0;
    }
}
