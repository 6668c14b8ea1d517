using Exporter.Bpf;

namespace Exporter.Signals.Objects;

/// <summary>A loaded BPF object whose place another can take while it counts.</summary>
internal interface IReplaceable
{
    /// <summary>The object's name, which is also its file's name without the ending.</summary>
    string Name { get; }

    /// <summary>The programs that are loaded now; empty: none are, and there is nothing to replace.</summary>
    IReadOnlyList<BpfProgram> Programs { get; }

    /// <summary>Has another object take its place on the same maps, once it was tried: no event is missed, and none is counted twice.</summary>
    /// <param name="elf">The object's content.</param>
    /// <param name="attached">Renews programs that are attached to interfaces.</param>
    /// <exception cref="Exporter.Bpf.Native.KernelException">It is refused; the current programs stay.</exception>
    Task ReplaceAsync(byte[] elf, IInterfacePrograms attached, CancellationToken cancellationToken);
}

/// <summary>The packet programs that are attached to interfaces.</summary>
internal interface IInterfacePrograms
{
    /// <summary>Attaches the programs of another object in the place of the current ones, on every interface or on none.</summary>
    /// <exception cref="Exporter.Bpf.Native.KernelException">It is refused; the current programs stay.</exception>
    Task ReplaceAsync(PacketObject packets, byte[] elf, CancellationToken cancellationToken);
}
