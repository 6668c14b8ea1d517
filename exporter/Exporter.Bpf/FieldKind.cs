namespace Exporter.Bpf;

/// <summary>How two values of a field become one: of two CPUs, of two drains, or of two pods that are folded together.</summary>
public enum FieldKind
{
    /// <summary>Their sum: a counter.</summary>
    Sum,

    /// <summary>The greater one.</summary>
    Maximum,

    /// <summary>The smaller one; 0 stands for no value.</summary>
    Minimum,

    /// <summary>The one that was added last; 0 stands for no value. In a map with a value for each CPU it is of any of them.</summary>
    Last,

    /// <summary>The bits of both.</summary>
    Bits,
}
