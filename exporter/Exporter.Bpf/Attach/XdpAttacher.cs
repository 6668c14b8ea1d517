using System.Globalization;
using Exporter.Bpf.Native;

namespace Exporter.Bpf.Attach;

/// <summary>
/// XDP links (Linux 5.9). An interface has one XDP program: a link takes an empty hook only, and nothing but its owner can exchange a program that a link
/// has attached. A link ends with its file descriptor, unless it is pinned. Used by one thread at a time.
/// </summary>
/// <param name="pins">Null: links are not pinned.</param>
/// <param name="linksPart">The folder of pinned links.</param>
public sealed unsafe class XdpAttacher(PinDirectory? pins, string linksPart)
{
    /// <summary>In the stack, on a copy of the frame (include/uapi/linux/if_link.h).</summary>
    private const uint XDP_FLAGS_SKB_MODE = 1 << 1;

    /// <summary>In the driver.</summary>
    private const uint XDP_FLAGS_DRV_MODE = 1 << 2;

    /// <summary>Attaches a program, by a link that is not pinned yet (<see cref="XdpAttachment.Pin"/>).</summary>
    /// <param name="isGeneric">In the stack; else in the driver, or not at all.</param>
    /// <returns>Null where the interface is gone.</returns>
    /// <exception cref="BpfException">
    /// The kernel refused. <see cref="KernelException.ErrorNumber"/> is EBUSY or EEXIST where another program has the hook (<see cref="IsTaken"/>).
    /// </exception>
    public XdpAttachment? TryAttach(BpfProgram program, int ifindex, bool isGeneric)
    {
        var opts = new Libbpf.bpf_link_create_opts { sz = (nuint)sizeof(Libbpf.bpf_link_create_opts), flags = isGeneric ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE };
        var fd = Libbpf.bpf_link_create(program.Fd, ifindex, Libbpf.BPF_XDP, &opts);
        return fd switch
        {
            >= 0 => new(pins, $"{linksPart}/{ifindex.ToString(CultureInfo.InvariantCulture)}", ifindex, new FileDescriptor(fd)),
            -Errno.ENODEV => null,
            _ => throw new BpfException($"attach {program.Name} to interface {ifindex} with {(isGeneric ? "generic" : "native")} XDP", -fd),
        };
    }

    /// <summary>Whether another program has the hook (net/core/dev.c, dev_xdp_attach).</summary>
    public static bool IsTaken(BpfException problem) => problem.ErrorNumber is Errno.EBUSY or Errno.EEXIST;

    /// <summary>Takes over the links that an earlier process has left, with this program in the place of its own; links of interfaces that are gone are
    /// removed.</summary>
    /// <param name="problems">A link that cannot be taken over is detached, and added.</param>
    public IReadOnlyList<XdpAttachment> Adopt(BpfProgram program, ICollection<Exception> problems)
    {
        var adopted = new List<XdpAttachment>();
        foreach (var file in pins?.List(linksPart) ?? [])
        {
            if (TryAdopt($"{linksPart}/{file}", program, problems) is { } attachment)
            {
                adopted.Add(attachment);
            }
        }
        return adopted;
    }

    /// <summary>Null where it cannot be taken over; it is detached then, and its pin removed.</summary>
    private XdpAttachment? TryAdopt(string name, BpfProgram program, ICollection<Exception> problems)
    {
        XdpAttachment? attachment = null;
        try
        {
            if (pins!.Get(name) is { } link)
            {
                attachment = new(pins, name, XdpAttachment.ReadIfindex(link), link);
                if (attachment.Ifindex != 0)
                {
                    attachment.Renew(program);
                    return attachment;
                }
            }
        }
        catch (BpfException e)
        {
            problems.Add(e);
        }
        attachment?.Dispose();
        pins!.Remove(name);
        return null;
    }
}
