using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

[assembly: DisableRuntimeMarshalling]

namespace Exporter.Bpf.Native;

/// <summary>
/// libbpf, at least 1.1. Functions that return a pointer return null and set errno; those that return an int return
/// -errno. See https://docs.kernel.org/bpf/libbpf/api.html.
/// </summary>
internal static unsafe partial class Libbpf
{
    private const string Library = "libbpf";

    /// <summary>struct bpf_object_open_opts, as far as it is used; <c>sz</c> says how far that is.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_object_open_opts
    {
        internal nuint sz;
        internal byte* object_name;
    }

    /// <summary>struct bpf_link_create_opts, as far as it is used.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_link_create_opts
    {
        internal nuint sz;
        internal uint flags;
        internal uint iter_info_len;
        internal void* iter_info;
        internal uint target_btf_id;
    }

    /// <summary>struct bpf_map_batch_opts.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_map_batch_opts
    {
        internal nuint sz;
        internal ulong elem_flags;
        internal ulong flags;
    }

    /// <summary>struct bpf_test_run_opts.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_test_run_opts
    {
        internal nuint sz;
        internal void* data_in;
        internal void* data_out;
        internal uint data_size_in;
        internal uint data_size_out;
        internal void* ctx_in;
        internal void* ctx_out;
        internal uint ctx_size_in;
        internal uint ctx_size_out;
        internal uint retval;
        internal int repeat;
        internal uint duration;
        internal uint flags;
        internal uint cpu;
        internal uint batch_size;
    }

    /// <summary>struct bpf_prog_info (linux/bpf.h), as far as it is used.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 216)]
    internal struct bpf_prog_info
    {
        [FieldOffset(4)]
        internal uint id;

        /// <summary>A digest of the instructions.</summary>
        [FieldOffset(8)]
        internal ulong tag;

        /// <summary>Bytes of native code.</summary>
        [FieldOffset(16)]
        internal uint jited_prog_len;

        /// <summary>Bytes of instructions, as the verifier has left them: 8 each.</summary>
        [FieldOffset(20)]
        internal uint xlated_prog_len;

        [FieldOffset(48)]
        internal uint created_by_uid;

        [FieldOffset(64)]
        internal fixed byte name[16];

        [FieldOffset(192)]
        internal ulong run_time_ns;

        [FieldOffset(200)]
        internal ulong run_cnt;

        [FieldOffset(208)]
        internal ulong recursion_misses;
    }

    /// <summary>struct bpf_map_info (linux/bpf.h), as far as it is used.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_map_info
    {
        internal uint type;
        internal uint id;
        internal uint key_size;
        internal uint value_size;
        internal uint max_entries;
        internal uint map_flags;
    }

    /// <summary>struct bpf_link_info (linux/bpf.h), as far as it is used: of a tcx or an XDP link.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 32)]
    internal struct bpf_link_info
    {
        [FieldOffset(0)]
        internal uint type;

        [FieldOffset(16)]
        internal uint ifindex;

        [FieldOffset(20)]
        internal uint tcx_attach_type;
    }

    /// <summary>struct bpf_map_create_opts, as far as it is used.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct bpf_map_create_opts
    {
        internal nuint sz;
        internal uint btf_fd;
        internal uint btf_key_type_id;
        internal uint btf_value_type_id;
        internal uint btf_vmlinux_value_type_id;
        internal uint inner_map_fd;
        internal uint map_flags;
    }

    internal const int BPF_MAP_TYPE_ARRAY = 2;
    internal const uint BPF_F_MMAPABLE = 1 << 10;
    internal const int BPF_LINK_TYPE_XDP = 6;
    internal const int BPF_LINK_TYPE_TCX = 11;
    internal const int BPF_XDP = 37;
    internal const int BPF_TCX_INGRESS = 46;
    internal const int BPF_TCX_EGRESS = 47;
    internal const int BPF_MAP_TYPE_PERCPU_HASH = 5;
    internal const int BPF_MAP_TYPE_PERCPU_ARRAY = 6;
    internal const int BPF_STATS_RUN_TIME = 0;

    [LibraryImport(Library)]
    internal static partial delegate* unmanaged<int, byte*, nint, int> libbpf_set_print(delegate* unmanaged<int, byte*, nint, int> print);

    [LibraryImport(Library)]
    internal static partial int libbpf_num_possible_cpus();

    /// <summary>Says what an errno means, its own from 4000 on among them.</summary>
    [LibraryImport(Library)]
    internal static partial int libbpf_strerror(int error, byte* buffer, nuint size);

    [LibraryImport(Library, SetLastError = true)]
    internal static partial BpfObjectHandle bpf_object__open_mem(byte* buffer, nuint size, bpf_object_open_opts* opts);

    [LibraryImport(Library)]
    internal static partial int bpf_object__load(BpfObjectHandle obj);

    [LibraryImport(Library)]
    internal static partial void bpf_object__close(nint obj);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint bpf_object__find_program_by_name(BpfObjectHandle obj, string name);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint bpf_object__find_map_by_name(BpfObjectHandle obj, string name);

    [LibraryImport(Library)]
    internal static partial int bpf_program__fd(nint program);

    [LibraryImport(Library)]
    internal static partial int bpf_program__set_autoload(nint program, byte autoload);

    [LibraryImport(Library, SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial BpfLinkHandle bpf_program__attach_kprobe(nint program, byte retprobe, string function);

    [LibraryImport(Library)]
    internal static partial int bpf_link__destroy(nint link);

    [LibraryImport(Library)]
    internal static partial int bpf_raw_tracepoint_open(byte* name, int program);

    /// <summary>Returns a file descriptor that keeps the statistics on; needs CAP_SYS_ADMIN (kernel/bpf/syscall.c, bpf_enable_stats).</summary>
    [LibraryImport(Library)]
    internal static partial int bpf_enable_stats(int type);

    [LibraryImport(Library)]
    internal static partial int bpf_map__fd(nint map);

    [LibraryImport(Library)]
    internal static partial uint bpf_map__key_size(nint map);

    [LibraryImport(Library)]
    internal static partial uint bpf_map__value_size(nint map);

    [LibraryImport(Library)]
    internal static partial int bpf_map__set_max_entries(nint map, uint entries);

    [LibraryImport(Library)]
    internal static partial int bpf_map__set_autocreate(nint map, byte autocreate);

    [LibraryImport(Library)]
    internal static partial nint bpf_map__name(nint map);

    [LibraryImport(Library)]
    internal static partial nint bpf_object__next_map(BpfObjectHandle obj, nint map);

    [LibraryImport(Library)]
    internal static partial int bpf_map__set_initial_value(nint map, void* data, nuint size);

    [LibraryImport(Library)]
    internal static partial int bpf_map_update_elem(int fd, void* key, void* value, ulong flags);

    [LibraryImport(Library)]
    internal static partial int bpf_map_lookup_elem(int fd, void* key, void* value);

    [LibraryImport(Library)]
    internal static partial int bpf_map_delete_elem(int fd, void* key);

    /// <summary>
    /// <paramref name="count"/>: room in, rows out. -ENOENT: the end, the rows so far are valid. -ENOSPC: one hash bucket has
    /// more rows than there is room for, nothing was read (kernel/bpf/hashtab.c, __htab_map_lookup_and_delete_batch). The rows stay.
    /// </summary>
    [LibraryImport(Library)]
    internal static partial int bpf_map_lookup_batch(
        int fd, void* inBatch, void* outBatch, void* keys, void* values, uint* count, bpf_map_batch_opts* opts);

    [LibraryImport(Library)]
    internal static partial int bpf_map_delete_batch(int fd, void* keys, uint* count, bpf_map_batch_opts* opts);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int bpf_map_create(
        int type, string name, uint keySize, uint valueSize, uint maxEntries, bpf_map_create_opts* opts);

    /// <summary>The map's descriptor is duplicated.</summary>
    [LibraryImport(Library)]
    internal static partial int bpf_map__reuse_fd(nint map, int fd);

    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int bpf_obj_pin(int fd, string path);

    /// <summary>Returns a descriptor of the object that is pinned there.</summary>
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int bpf_obj_get(string path);

    [LibraryImport(Library)]
    internal static partial int bpf_link_update(int link, int program, void* opts);

    [LibraryImport(Library)]
    internal static partial int bpf_link_detach(int link);

    [LibraryImport(Library)]
    internal static partial int bpf_link__fd(BpfLinkHandle link);

    [LibraryImport(Library)]
    internal static partial int bpf_link_create(int program, int target, int attachType, bpf_link_create_opts* opts);

    /// <summary>Returns a descriptor of a loaded program; needs CAP_SYS_ADMIN (kernel/bpf/syscall.c, bpf_prog_get_fd_by_id).</summary>
    [LibraryImport(Library)]
    internal static partial int bpf_prog_get_fd_by_id(uint id);

    [LibraryImport(Library)]
    internal static partial int bpf_prog_query(
        int target, int attachType, uint queryFlags, uint* attachFlags, uint* programIds, uint* programCount);

    [LibraryImport(Library)]
    internal static partial int bpf_obj_get_info_by_fd(int fd, void* info, uint* size);

    [LibraryImport(Library)]
    internal static partial int bpf_prog_test_run_opts(int program, bpf_test_run_opts* opts);
}
