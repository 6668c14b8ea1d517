using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.RegularExpressions;
using Exporter.Bpf;
using Exporter.Kernel.Tests.Support;
using Exporter.Signals;
using Exporter.Signals.Flows;
using Exporter.Signals.Handshakes;
using Exporter.Signals.Traffic;
using Exporter.Signals.Uplinks;

namespace Exporter.Kernel.Tests;

/// <summary>
/// What the programs and user space share is the same on both sides: the types, by the BTF in the built objects, and the
/// constants, by the headers.
/// </summary>
public sealed partial class ContractTests
{
    private static readonly string[] Architectures = ["x86", "arm64"];

    /// <summary>Headers that only the programs include.</summary>
    private static readonly string[] PrivateHeaders = ["include/kernel.h", "include/maps.h", "include/packet.h", "tc/count_flow.h"];

    /// <summary>Every structure of every shared header, the object that has it in its BTF, and its twin.</summary>
    private static readonly (string Header, string Object, string Structure, Type Twin)[] StructureTable =
    [
        ("tc/pod_traffic.h", "pod_traffic", "traffic_key", typeof(TrafficKey)),
        ("tc/pod_traffic.h", "pod_traffic", "traffic_count", typeof(TrafficCount)),
        ("tc/pod_traffic.h", "pod_traffic", "traffic_size", typeof(TrafficSize)),
        ("tc/pod_traffic.h", "pod_traffic", "traffic_direction", typeof(TrafficDirection)),
        ("tc/pod_traffic.h", "pod_traffic", "traffic_value", typeof(TrafficValue)),
        ("tc/flow.h", "pod_traffic", "flow_key", typeof(FlowKey)),
        ("tc/flow.h", "pod_traffic", "flow_half", typeof(FlowHalf)),
        ("tc/flow.h", "pod_traffic", "flow_value", typeof(FlowValue)),
        ("tc/flow.h", "pod_traffic", "flow_count", typeof(FlowCount)),
        ("tc/flow.h", "pod_traffic", "flow_rest", typeof(FlowRest)),
        ("tc/flow.h", "pod_traffic", "flow_settings", typeof(FlowSettings)),
        ("include/loss.h", "pod_traffic", "loss", typeof(Loss)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_key", typeof(HandshakeKey)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_duration", typeof(HandshakeDuration)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_role", typeof(HandshakeRole)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_value", typeof(HandshakeValue)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_address", typeof(HandshakeAddress)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_flow", typeof(HandshakeFlow)),
        ("kprobe/tcp_handshake.h", "tcp_handshake", "handshake_late", typeof(RetransmittedHandshake)),
        ("identity/netns.h", "netns", "netns_found", typeof(NetnsFound)),
        ("netns/netns_list.h", "netns_list", "netns_search", typeof(NetnsSearch)),
        ("xdp/uplink.h", "uplink", "uplink_count", typeof(UplinkCount)),
        ("xdp/uplink.h", "uplink", "uplink_value", typeof(UplinkValue)),
        ("xdp/uplink.h", "uplink", "uplink_identity", typeof(UplinkIdentity)),
        ("xdp/uplink.h", "uplink", "uplink_slots", typeof(UplinkSlots)),
    ];

    /// <summary>The maps that user space reads through PerCpu.Sum, which adds up whatever it gets as 64-bit counters.</summary>
    private static readonly (string Object, string Map, string Value)[] CounterMapTable =
    [
        ("pod_traffic", "traffic_a", "traffic_value"),
        ("pod_traffic", "traffic_b", "traffic_value"),
        ("pod_traffic", "traffic_losses", "loss"),
        ("tcp_handshake", "handshakes_a", "handshake_value"),
        ("tcp_handshake", "handshakes_b", "handshake_value"),
        ("tcp_handshake", "handshakes_late", "handshake_late"),
        ("uplink", "uplinks", "uplink_value"),
    ];

    public static TheoryData<string, string> Structures =>
        new MatrixTheoryData<string, string>(Architectures, StructureTable.Select(entry => entry.Structure));

    public static TheoryData<string, string> CounterMaps =>
        new MatrixTheoryData<string, string>(Architectures, CounterMapTable.Select(entry => entry.Map));

    [Fact]
    public void Every_structure_of_every_shared_header_is_compared()
    {
        var root = Path.Combine(Repository.Root, "bpf");
        var declared =
            from path in Directory.EnumerateFiles(root, "*.h", SearchOption.AllDirectories)
            let header = Path.GetRelativePath(root, path)
            where !PrivateHeaders.Contains(header)
            from Match match in StructureDeclaration().Matches(File.ReadAllText(path))
            select $"{header}: {match.Groups[1].Value}";

        Assert.Equal(StructureTable.Select(entry => $"{entry.Header}: {entry.Structure}").Order(), declared.Order());
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void A_structure_has_the_same_fields_at_the_same_places_in_C_and_in_CSharp(string architecture, string structure)
    {
        var (_, name, _, twin) = StructureTable.Single(entry => entry.Structure == structure);
        var btf = Btf.Read(architecture, name);

        var fields = btf.Members(btf.Find("STRUCT", structure)).Select(member => (Pascal(member.Name), member.Offset, btf.Size(member.Type)));

        Assert.Equal(fields, Layout.Fields(twin));
        Assert.Equal(btf.Size(btf.Find("STRUCT", structure)), Layout.Size(twin));
    }

    [Theory]
    [MemberData(nameof(Structures))]
    public void An_array_has_as_many_elements_in_C_as_in_CSharp(string architecture, string structure)
    {
        var (_, name, _, twin) = StructureTable.Single(entry => entry.Structure == structure);
        var btf = Btf.Read(architecture, name);

        foreach (var (member, type, _) in btf.Members(btf.Find("STRUCT", structure)))
        {
            var field = Layout.InstanceFields(twin).Single(field => Layout.Name(field) == Pascal(member)).FieldType;
            if (btf.Element(type) is var (element, count))
            {
                Assert.Equal(count, field.GetCustomAttribute<InlineArrayAttribute>()?.Length);
                Assert.Equal(btf.Kind(element) == "STRUCT" ? Twin(btf.Name(element)) : Primitive(btf.Name(element)), Layout.InstanceFields(field).Single().FieldType);
            }
            else if (btf.Kind(type) == "STRUCT")
            {
                Assert.Equal(Twin(btf.Name(type)), field);
            }
            else
            {
                Assert.True(field.IsPrimitive, $"{structure}.{member} is a {field}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(CounterMaps))]
    public void A_value_that_is_summed_over_CPUs_consists_of_64_bit_counters(string architecture, string map)
    {
        var (name, _, value) = CounterMapTable.Single(entry => entry.Map == map);
        var btf = Btf.Read(architecture, name);

        var type = btf.MapValue(map);

        Assert.Equal(value, btf.Name(type));
        Assert.All(btf.Leaves(type), leaf => Assert.Equal(("unsigned long long", sizeof(ulong)), leaf));
        Assert.Equal(btf.Size(type), btf.Leaves(type).Count() * sizeof(ulong));
        Assert.All(Layout.Leaves(Twin(value)), leaf => Assert.Equal(typeof(ulong), leaf));
    }

    [Fact]
    public void A_maps_entries_are_as_many_as_the_constants_say()
    {
        var traffic = Constants("tc/pod_traffic.h");
        foreach (var btf in Architectures.Select(architecture => Btf.Read(architecture, "pod_traffic")))
        {
            Assert.Equal(traffic["TRAFFIC_MAX_INTERFACES"], btf.MapEntries("traffic_a"));
            Assert.Equal(traffic["TRAFFIC_MAX_INTERFACES"], btf.MapEntries("traffic_b"));
            Assert.Equal(Enum.GetValues<LossReason>().Length, btf.MapEntries("traffic_losses"));
            Assert.Equal(Constants("tc/flow.h")["FLOW_MAX_ENTRIES"], btf.MapEntries("flows_a"));
            Assert.Equal(Constants("tc/flow.h")["FLOW_MAX_ENTRIES"], btf.MapEntries("flows_b"));
        }
        var handshakes = Constants("kprobe/tcp_handshake.h");
        foreach (var btf in Architectures.Select(architecture => Btf.Read(architecture, "tcp_handshake")))
        {
            Assert.Equal(handshakes["HANDSHAKE_MAX_NETWORKS"], btf.MapEntries("handshakes_a"));
            Assert.Equal(handshakes["HANDSHAKE_MAX_NETWORKS"], btf.MapEntries("handshakes_b"));
            Assert.Equal(handshakes["HANDSHAKE_MAX_LATE"], btf.MapEntries("handshakes_late"));
            Assert.Equal(Enum.GetValues<HandshakeLoss>().Length, btf.MapEntries("handshake_losses"));
            Assert.Equal(Enum.GetValues<LoopbackStep>().Length, btf.MapEntries("handshake_steps"));
        }
    }

    [Fact]
    public void The_transports_are_numbered_alike()
    {
        var constants = Constants("tc/pod_traffic.h");

        Assert.Equal(
            Enum.GetValues<Transport>().Select(transport => ($"TRAFFIC_{transport.ToString().ToUpperInvariant()}", (int)transport))
                .Append(("TRAFFIC_TRANSPORTS", Enum.GetValues<Transport>().Length))
                .Append(("TRAFFIC_SIZES", TrafficSize.Bounds.Length + 1))
                .OrderBy(constant => constant.Item1, StringComparer.Ordinal),
            constants.Where(constant => constant.Key != "TRAFFIC_MAX_INTERFACES").Select(constant => (constant.Key, constant.Value))
                .OrderBy(constant => constant.Key, StringComparer.Ordinal));
    }

    [Fact]
    public void The_handshakes_constants_are_numbered_alike()
    {
        var expected = new[] { ("HANDSHAKE_CLIENT", 0), ("HANDSHAKE_SERVER", 1), ("HANDSHAKE_ROLES", 2), ("HANDSHAKE_REDIRECTED", 2) }
            .Concat(Numbered<HandshakeFailure>("HANDSHAKE_FAILURE"))
            .Append(("HANDSHAKE_FAILURES", Enum.GetValues<HandshakeFailure>().Length))
            .Append(("HANDSHAKE_DURATIONS", HandshakePrograms.MaxBounds + 1))
            .Concat(Numbered<HandshakeLoss>("HANDSHAKE_LOSS"))
            .Append(("HANDSHAKE_LOSSES", Enum.GetValues<HandshakeLoss>().Length))
            .Concat(Numbered<LoopbackStep>("HANDSHAKE_STEP"))
            .Append(("HANDSHAKE_STEPS", Enum.GetValues<LoopbackStep>().Length));

        Assert.Equal(
            expected,
            Constants("kprobe/tcp_handshake.h").Where(constant => !constant.Key.StartsWith("HANDSHAKE_MAX_", StringComparison.Ordinal))
                .Select(constant => (constant.Key, constant.Value)));
    }

    [Fact]
    public void The_uplinks_classes_and_sizes_are_alike()
    {
        Assert.Equal(
            Enum.GetValues<UplinkClass>().Select(one => $"UPLINK_{Word().Replace(one.ToString(), "_$0").TrimStart('_').ToUpperInvariant()}").Append("UPLINK_CLASSES"),
            EnumeratedClass().Matches(Header("xdp/uplink.h")).Select(match => match.Groups[1].Value));
        Assert.Equal(Enum.GetValues<UplinkClass>().Select(one => Word().Replace(one.ToString(), "_$0").TrimStart('_').ToLowerInvariant()), UplinkValue.ClassNames);
        Assert.Equal(UplinkSlots.Count, Constants("xdp/uplink.h")["UPLINK_SLOTS"]);
        Assert.Equal(UplinkValue.SizeBounds.Length + 1, Constants("xdp/uplink.h")["UPLINK_SIZES"]);
        Assert.Equal(UplinkValue.SizeBounds.ToArray(), BoundsOf("xdp/uplink.h"));
        Assert.All(Architectures, architecture => Assert.Equal(2 * UplinkSlots.Count, Btf.Read(architecture, "uplink").MapEntries("uplinks")));
    }

    [Fact]
    public void The_loss_reasons_are_numbered_alike()
    {
        Assert.Equal(
            Numbered<LossReason>("LOSS")
                .Append(("LOSS_REASONS", Enum.GetValues<LossReason>().Length)),
            Constants("include/loss.h").Select(constant => (constant.Key, constant.Value)));
    }

    [Fact]
    public void The_bounds_of_the_sizes_are_alike_and_ascend()
    {
        var bounds = BoundsOf("tc/pod_traffic.h");

        Assert.Equal(bounds, TrafficSize.Bounds.ToArray());
        Assert.Equal(bounds.Order(), bounds);
    }

    [GeneratedRegex(@"^struct (\w+) \{", RegexOptions.Multiline)]
    private static partial Regex StructureDeclaration();

    [GeneratedRegex(@"^#define (\w+)[ \t]+(\d+)\b", RegexOptions.Multiline)]
    private static partial Regex NumberDefinition();

    [GeneratedRegex(@"#define [A-Z]+_SIZE_BOUNDS[^{]*\{([^}]*)\}")]
    private static partial Regex Bounds();

    [GeneratedRegex(@"^\t(UPLINK_\w+),", RegexOptions.Multiline)]
    private static partial Regex EnumeratedClass();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();

    [GeneratedRegex("[A-Z][a-z0-9]*")]
    private static partial Regex Word();

    /// <summary>The values of an enumeration as a header spells them.</summary>
    private static IEnumerable<(string Name, int Value)> Numbered<T>(string prefix)
        where T : struct, Enum =>
        Enum.GetValues<T>().Select((value, number) => (prefix + Word().Replace(value.ToString(), "_$0").ToUpperInvariant(), number));

    private static int[] BoundsOf(string header) =>
        [.. Number().Matches(Bounds().Match(Header(header)).Groups[1].Value).Select(bound => int.Parse(bound.Value, CultureInfo.InvariantCulture))];

    private static string Header(string name) => File.ReadAllText(Path.Combine(Repository.Root, "bpf", name));

    /// <summary>What a header defines as a number, in its order.</summary>
    private static Dictionary<string, int> Constants(string header) => NumberDefinition().Matches(Header(header))
        .ToDictionary(match => match.Groups[1].Value, match => int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));

    private static string Pascal(string name) =>
        string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..]));

    private static Type Primitive(string name) => name switch
    {
        "char" or "unsigned char" => typeof(byte),
        "unsigned short" => typeof(ushort),
        "unsigned int" => typeof(uint),
        "unsigned long long" => typeof(ulong),
        _ => throw new InvalidOperationException($"There is no twin of {name}"),
    };

    private static Type Twin(string structure) => StructureTable.Single(entry => entry.Structure == structure).Twin;

    /// <summary>How the runtime lays out a structure.</summary>
    private static class Layout
    {
        internal static FieldInfo[] InstanceFields(Type type) =>
            type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);

        /// <summary>A property's field is called &lt;Name&gt;k__BackingField.</summary>
        internal static string Name(FieldInfo field) => field.Name[0] == '<' ? field.Name[1..field.Name.IndexOf('>', StringComparison.Ordinal)] : field.Name;

        internal static IEnumerable<(string Name, int Offset, int Size)> Fields(Type type)
        {
            // Each of whose bytes is its own offset, a structure shows where each field is: once the low halves of offsets, and once the high ones.
            var (low, high) = (Call<object>(nameof(Offsets), type, [0]), Call<object>(nameof(Offsets), type, [8]));
            return [.. InstanceFields(type).Select(field => (Name(field), First(field, low) | (First(field, high) << 8), Size(field.FieldType))).OrderBy(field => field.Item2)];
        }

        internal static int Size(Type type) => Call<int>(nameof(SizeOf), type, []);

        internal static IEnumerable<Type> Leaves(Type type) =>
            type.IsPrimitive ? [type] : InstanceFields(type).SelectMany(field => Leaves(field.FieldType));

        private static T Call<T>(string method, Type type, object[] arguments) =>
            (T)typeof(Layout).GetMethod(method, BindingFlags.Static | BindingFlags.NonPublic)!.MakeGenericMethod(type).Invoke(null, arguments)!;

        private static int SizeOf<T>()
            where T : unmanaged => Unsafe.SizeOf<T>();

        private static int First(FieldInfo field, object structure) => Call<int>(nameof(FirstByte), field.FieldType, [field.GetValue(structure)!]);

        private static object Offsets<T>(int shift)
            where T : unmanaged
        {
            T value = default;
            var bytes = MemoryMarshal.AsBytes(new Span<T>(ref value));
            for (var i = 0; i < bytes.Length; i++)
            {
                bytes[i] = (byte)(i >> shift);
            }
            return value;
        }

        private static int FirstByte<T>(T value)
            where T : unmanaged => MemoryMarshal.AsBytes(new Span<T>(ref value))[0];
    }

    /// <summary>The types of an object file (https://docs.kernel.org/bpf/btf.html), as bpftool tells them.</summary>
    private sealed class Btf
    {
        private readonly Dictionary<int, JsonElement> _types;

        private Btf(IEnumerable<JsonElement> types) => _types = types.ToDictionary(type => Number(type, "id"));

        internal static Btf Read(string architecture, string name)
        {
            var path = Path.Combine(Repository.Root, "artifacts", "bpf", architecture, $"{name}.bpf.o");
            using var json = JsonDocument.Parse(Shell.Run("bpftool", "-j", "btf", "dump", "file", path));
            return new([.. json.RootElement.GetProperty("types").EnumerateArray().Select(type => type.Clone())]);
        }

        internal int Find(string kind, string name) =>
            _types.Single(type => Text(type.Value, "kind") == kind && Text(type.Value, "name") == name).Key;

        internal string Kind(int type) => Text(_types[Resolve(type)], "kind");

        internal string Name(int type) => Text(_types[Resolve(type)], "name");

        internal int Size(int type) => Element(type) is var (element, count) ? count * Size(element) : Number(_types[Resolve(type)], "size");

        internal (int Type, int Count)? Element(int type) =>
            Kind(type) == "ARRAY" ? (Number(_types[Resolve(type)], "type_id"), Number(_types[Resolve(type)], "nr_elems")) : null;

        internal IEnumerable<(string Name, int Type, int Offset)> Members(int structure) => _types[Resolve(structure)].GetProperty("members").EnumerateArray()
            .Select(member => (Text(member, "name"), Number(member, "type_id"), Number(member, "bits_offset") / 8));

        /// <summary>The integers that a type consists of.</summary>
        internal IEnumerable<(string Name, int Size)> Leaves(int type) => Kind(type) switch
        {
            "ARRAY" => Element(type) is var (element, count) ? Enumerable.Range(0, count).SelectMany(_ => Leaves(element)) : [],
            "STRUCT" => Members(type).SelectMany(member => Leaves(member.Type)),
            _ => [(Name(type), Size(type))],
        };

        /// <summary>libbpf reads a map's definition from its variable's type: pointers to the key's and the value's, and to arrays as long as a number is.</summary>
        internal int MapValue(string map) => Number(_types[Resolve(MapMember(map, "value"))], "type_id");

        internal int MapEntries(string map) => Element(Number(_types[Resolve(MapMember(map, "max_entries"))], "type_id"))!.Value.Count;

        private int MapMember(string map, string name) =>
            Members(Number(_types[Find("VAR", map)], "type_id")).Single(member => member.Name == name).Type;

        /// <summary>What hides behind names and qualifiers.</summary>
        private int Resolve(int type) =>
            Text(_types[type], "kind") is "TYPEDEF" or "CONST" or "VOLATILE" ? Resolve(Number(_types[type], "type_id")) : type;

        private static int Number(JsonElement element, string name) => element.GetProperty(name).GetInt32();

        private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
    }
}
