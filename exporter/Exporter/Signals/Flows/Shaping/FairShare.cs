namespace Exporter.Signals.Flows.Shaping;

/// <summary>Divides a budget of records: max-min fair among pods, and by size within a pod.</summary>
internal static class FairShare
{
    /// <summary>Flows below a quarter of the mean are sampled as if they had so many bytes: none has less than a quarter of the mean's chance.</summary>
    private const int MeanToFloor = 4;

    /// <summary>
    /// The max-min share: a pod that demands less gets all of it, and each other one gets the share. The sum of their records is the budget.
    /// </summary>
    /// <param name="demands">Are sorted.</param>
    /// <returns>Infinite where the budget is enough for all.</returns>
    internal static double LevelOf(Span<int> demands, double budget)
    {
        demands.Sort();
        var left = budget;
        for (var i = 0; i < demands.Length; i++)
        {
            var share = left / (demands.Length - i);
            if (demands[i] > share)
            {
                return share;
            }
            left -= demands[i];
        }
        return double.PositiveInfinity;
    }

    /// <summary>
    /// Threshold sampling (Duffield, Lund, Thorup: Learn more, sample less, IEEE Transactions on Information Theory, 2005): finds the size from which on each flow is
    /// kept, so that the expected number of flows is the target where each is kept with the probability <see cref="ProbabilityOf"/>.
    /// </summary>
    /// <param name="sizes">Bytes, of more flows than the target. Are sorted.</param>
    /// <param name="target">Above 0.</param>
    internal static (ulong Floor, double Threshold) FindThreshold(Span<ulong> sizes, double target)
    {
        var all = UInt128.Zero;
        foreach (var size in sizes)
        {
            all += size;
        }
        var floor = (ulong)UInt128.Max(all / ((ulong)sizes.Length * MeanToFloor), 1);
        var rest = UInt128.Zero;
        foreach (ref var size in sizes)
        {
            size = Math.Max(size, floor);
            rest += size;
        }
        sizes.Sort();
        for (var certain = 0; ; certain++)
        {
            // It ends before the target: what is left is not less than the largest size in it.
            var threshold = (double)rest / (target - certain);
            var largest = sizes[sizes.Length - 1 - certain];
            if (largest <= threshold)
            {
                return (floor, threshold);
            }
            rest -= largest;
        }
    }

    /// <summary>At most 1.</summary>
    internal static double ProbabilityOf(ulong bytes, ulong floor, double threshold) => Math.Min(1, Math.Max(bytes, floor) / threshold);
}
