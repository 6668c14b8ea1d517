using Exporter.Signals.Flows;

namespace Exporter.Tests;

public sealed class FlowFlagsTests
{
    [Fact]
    public void Each_flag_has_the_bit_that_a_TCP_header_has_it_at()
    {
        for (var combination = 0; combination < 6561; combination++)
        {
            var (flags, bits, current, rest) = (default(FlowFlags), 0, 0, combination);
            for (var i = 0; i < 8; i++, rest /= 3)
            {
                flags[i] = (byte)(rest % 3);
                bits |= rest % 3 != 0 ? 1 << i : 0;
                current |= rest % 3 == 1 ? 1 << i : 0;
            }
            Assert.Equal((bits, current), (flags.Bits, flags.CurrentBits));
        }
    }
}
