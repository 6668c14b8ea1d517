using Exporter.Records;

namespace Exporter.Engine.Tests.Golden;

/// <summary>A conversation as one of its ends saw it in one interval.</summary>
/// <param name="Steps">Those in the interval; 0: a state became known.</param>
/// <param name="First">The first step in the interval, since the traffic's begin.</param>
internal sealed record Sight(Conversation Conversation, FlowObserver Observer, int Steps, TimeSpan First, bool IsFirst, bool IsLast)
{
    internal bool IsIdle { get; init; }

    internal GoldenPod Pod => (Observer == FlowObserver.Source ? Conversation.Source : Conversation.Destination).Pod!;

    /// <summary>Whether a sum over records takes this one.</summary>
    internal bool Counts => Observer == FlowObserver.Source || Conversation.Source.Pod is null;

    internal TimeSpan Last => First + (Conversation.Every * Math.Max(0, Steps - 1));

    internal ulong Connections => IsFirst ? Conversation.Connections : 0;
}
