namespace Exporter.Signals.Flows;

/// <summary>The time of packets, by the ticks that the kernel has stamped them with.</summary>
/// <param name="ReadAt">When the rows were read.</param>
/// <param name="Ticks">The low half of jiffies at that time.</param>
/// <param name="Rate">Ticks a second.</param>
internal readonly record struct FlowClock(DateTimeOffset ReadAt, uint Ticks, int Rate)
{
    /// <summary>The time since the boot, as a time: no program sets it, and all processes have the same.</summary>
    internal static DateTimeOffset SteadyNow(TimeProvider time) => DateTimeOffset.MinValue + time.GetElapsedTime(0);

    /// <summary>The time of the last packet of a flow.</summary>
    internal DateTimeOffset LastOf(in FlowValue value)
    {
        var (transmit, receive) = (value.Transmit.Last, value.Receive.Last);
        var last = transmit == 0 ? receive : receive == 0 || Ticks - transmit < Ticks - receive ? transmit : receive;
        return last == 0 ? ReadAt : TimeOf(last);
    }

    /// <summary>The time of a stamp that is not after the reading. Ticks may have wrapped in between.</summary>
    internal DateTimeOffset TimeOf(uint stamp)
    {
        var (age, most) = (TimeSpan.FromTicks((long)(Ticks - stamp) * TimeSpan.TicksPerSecond / Rate), ReadAt - DateTimeOffset.MinValue);
        // No stamp is from before the boot, when steady time begins.
        return ReadAt - (age > most ? most : age);
    }
}
