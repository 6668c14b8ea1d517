using Exporter.Accounts;
using Exporter.Options;

namespace Exporter.Signals;

/// <summary>Reads the options of one signal. A wrong option is noted in the reader, and has its default in the signal.</summary>
/// <param name="metrics">The options that all signals share.</param>
internal delegate Signal SignalReader(OptionReader reader, MetricsOptions metrics);
