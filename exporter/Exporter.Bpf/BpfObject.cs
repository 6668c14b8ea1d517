using System.Runtime.InteropServices;
using System.Text;
using Exporter.Bpf.Native;

namespace Exporter.Bpf;

/// <summary>
/// A BPF object file: opened, configured, loaded into the kernel, in this order. Owns its programs and maps; they are gone
/// with it unless something else (a link, a filter) still holds them.
/// </summary>
public sealed class BpfObject : IDisposable
{
    private readonly BpfObjectHandle _handle;
    private readonly string _name;

    private BpfObject(BpfObjectHandle handle, string name)
    {
        _handle = handle;
        _name = name;
    }

    /// <summary>Parses an object that is embedded in this assembly, compiled for this architecture.</summary>
    /// <param name="name">The source's name without its ending.</param>
    public static BpfObject OpenEmbedded(string name)
    {
        var arch = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "x86";
        var resource = $"{arch}/{name}.bpf.o";
        using var stream = typeof(BpfObject).Assembly.GetManifestResourceStream(resource)
            ?? throw new InvalidOperationException($"The BPF object {resource} is not embedded.");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return Open(name, content);
    }

    /// <summary>Parses an object. Nothing reaches the kernel yet.</summary>
    /// <param name="name">The object's name, which libbpf puts before the names of its data maps.</param>
    /// <param name="elf">The file's content; libbpf keeps a copy.</param>
    /// <exception cref="BpfException">The content is not a BPF object that libbpf understands.</exception>
    public static unsafe BpfObject Open(string name, ReadOnlySpan<byte> elf)
    {
        var (handle, log) = Capture(name, elf);
        if (handle.IsInvalid)
        {
            var errno = Marshal.GetLastPInvokeError();
            handle.Dispose();
            throw new BpfException($"open the BPF object {name}", errno, log);
        }
        return new BpfObject(handle, name);

        static (BpfObjectHandle, string) Capture(string name, ReadOnlySpan<byte> elf)
        {
            var utf8 = Encoding.UTF8.GetBytes(name + '\0');
            fixed (byte* start = elf)
            {
                var (buffer, size) = ((nint)start, (nuint)elf.Length);
                return BpfLog.Capture(() =>
                {
                    fixed (byte* objectName = utf8)
                    {
                        var opts = new Libbpf.bpf_object_open_opts
                        {
                            sz = (nuint)sizeof(Libbpf.bpf_object_open_opts),
                            object_name = objectName,
                        };
                        return Libbpf.bpf_object__open_mem((byte*)buffer, size, &opts);
                    }
                });
            }
        }
    }

    /// <summary>Sets how many entries a map will have; before <see cref="Load"/>.</summary>
    public void SetMaxEntries(string map, int entries)
    {
        var error = Libbpf.bpf_map__set_max_entries(FindMap(map), (uint)entries);
        if (error < 0)
        {
            throw new BpfException($"give the map {map} {entries} entries", -error);
        }
    }

    /// <summary>Excludes a program from the load of the object; called before <see cref="Load"/>.</summary>
    public void Omit(string program)
    {
        var error = Libbpf.bpf_program__set_autoload(FindProgram(program), 0);
        if (error < 0)
        {
            throw new BpfException($"exclude the program {program}", -error);
        }
    }

    /// <summary>Excludes a map from the load of the object: no program uses it that the verifier follows. Called before <see cref="Load"/>.</summary>
    internal void OmitMap(string map)
    {
        var error = Libbpf.bpf_map__set_autocreate(FindMap(map), 0);
        if (error < 0)
        {
            throw new BpfException($"exclude the map {map}", -error);
        }
    }

    /// <summary>The names of all its maps.</summary>
    internal IReadOnlyList<string> FindMapNames()
    {
        var names = new List<string>();
        for (var map = Libbpf.bpf_object__next_map(_handle, 0); map != 0; map = Libbpf.bpf_object__next_map(_handle, map))
        {
            names.Add(Marshal.PtrToStringUTF8(Libbpf.bpf_map__name(map))!);
        }
        return names;
    }

    /// <summary>Sets what the constants of a section start with; before <see cref="Load"/>.</summary>
    /// <param name="section">The section's name, as in .rodata.bounds.</param>
    /// <param name="value">As large as the section.</param>
    public unsafe void SetConstants<T>(string section, ReadOnlySpan<T> value)
        where T : unmanaged
    {
        fixed (T* start = value)
        {
            var error = Libbpf.bpf_map__set_initial_value(FindMap(section), start, (nuint)(value.Length * sizeof(T)));
            if (error < 0)
            {
                throw new BpfException($"set the constants of {section}", -error);
            }
        }
    }

    /// <summary>Creates the maps and has the kernel verify the programs.</summary>
    /// <exception cref="BpfException">With the verifier's log where it refused a program.</exception>
    public void Load()
    {
        var (error, log) = BpfLog.Capture(() => Libbpf.bpf_object__load(_handle));
        if (error < 0)
        {
            throw new BpfException($"load the BPF object {_name}", -error, log);
        }
    }

    /// <summary>A program of the loaded object, valid as long as the object.</summary>
    public BpfProgram Program(string name) => new(name, FindProgram(name));

    /// <summary>A map of the loaded object, which may outlive it.</summary>
    public BpfMap Map(string name) => BpfMap.Duplicate(name, Libbpf.bpf_map__fd(FindMap(name)));

    /// <summary>Has a map that is there already used, in place of a new one; before <see cref="Load"/>.</summary>
    /// <exception cref="BpfException">It has not the size that the object's has.</exception>
    public void Reuse(BpfMap map)
    {
        var own = FindMap(map.Name);
        var (key, value) = ((int)Libbpf.bpf_map__key_size(own), (int)Libbpf.bpf_map__value_size(own));
        if ((key, value) != (map.KeySize, map.ValueSize))
        {
            throw new BpfException(
                $"use the map {map.Name} for the BPF object {_name}: it has keys of {map.KeySize} and values of {map.ValueSize} bytes, the object's {key} and {value}", Errno.EINVAL);
        }
        var error = Libbpf.bpf_map__reuse_fd(own, map.Fd);
        if (error < 0)
        {
            throw new BpfException($"use the map {map.Name} for the BPF object {_name}", -error);
        }
    }

    public void Dispose() => _handle.Dispose();

    private nint FindProgram(string name)
    {
        var program = Libbpf.bpf_object__find_program_by_name(_handle, name);
        return program == 0 ? throw new BpfException($"find the program {name} in the BPF object {_name}", Errno.ENOENT) : program;
    }

    private nint FindMap(string name)
    {
        var map = Libbpf.bpf_object__find_map_by_name(_handle, name);
        return map == 0 ? throw new BpfException($"find the map {name} in the BPF object {_name}", Errno.ENOENT) : map;
    }
}
