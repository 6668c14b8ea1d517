namespace Exporter.Bpf;

/// <summary>The kernel's count of timer ticks, the low 32 bits of it (bpf/clock/jiffies.bpf.c). They wrap five minutes after the boot, and then every 49 to 497 days.</summary>
public sealed class KernelJiffies : IDisposable
{
    /// <summary>CONFIG_HZ can be one of these (kernel/Kconfig.hz).</summary>
    private static readonly int[] Rates = [100, 250, 300, 1000];

    /// <summary>After this time each rate differs from the next by more than ten ticks.</summary>
    private static readonly TimeSpan LeastTime = TimeSpan.FromMilliseconds(250);

    /// <summary>How far from a rate a measurement may be, as a part of it, to be that rate for good: it never changes.</summary>
    private const double MostOff = 0.06;

    private readonly BpfObject _object;
    private readonly BpfProgram _program;
    private readonly TimeProvider _time;
    private uint _start;
    private long _startedAt;
    private int? _rate;

    private KernelJiffies(BpfObject loaded, TimeProvider time)
    {
        (_object, _program, _time) = (loaded, loaded.Program("podnet_jiffies"), time);
        (_startedAt, _start) = (time.GetTimestamp(), Read());
    }

    /// <summary>Ticks a second. Asked for at once, it is known after a quarter of a second, which the caller waits.</summary>
    public int ReadRate()
    {
        if (_rate is { } known)
        {
            return known;
        }
        if (_time.GetElapsedTime(_startedAt) is var elapsed && elapsed < LeastTime)
        {
            Thread.Sleep(LeastTime - elapsed);
        }
        var now = Read();
        var measured = (now - _start) / _time.GetElapsedTime(_startedAt).TotalSeconds;
        var nearest = Rates.MinBy(rate => Math.Abs(rate - measured));
        // A process that is stopped between the two readings measures too little, and measures again.
        _rate = Math.Abs(nearest - measured) < nearest * MostOff ? nearest : null;
        (_startedAt, _start) = _rate is null ? (_time.GetTimestamp(), now) : (_startedAt, _start);
        return nearest;
    }

    /// <exception cref="BpfException">The kernel refused the program.</exception>
    public static KernelJiffies Load(TimeProvider time)
    {
        var loaded = BpfObject.OpenEmbedded("jiffies");
        try
        {
            loaded.Load();
            return new(loaded, time);
        }
        catch
        {
            loaded.Dispose();
            throw;
        }
    }

    public uint Read() => (uint)_program.TestRun(stackalloc byte[64]).ReturnValue;

    public void Dispose() => _object.Dispose();
}
