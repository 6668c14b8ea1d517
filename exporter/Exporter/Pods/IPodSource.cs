namespace Exporter.Pods;

/// <summary>Says which pod an interface belongs to. Asked by the reconciler only.</summary>
internal interface IPodSource
{
    /// <summary>The name of the source, as the options call it.</summary>
    string Name { get; }

    /// <summary>Whether it knows all pods of now, and not those alone that it has heard of.</summary>
    bool IsListed => true;

    /// <summary>Options have changed, and these objects stand for interfaces that may be known already, by the same generations.</summary>
    void Resume(IEnumerable<PodInterface> interfaces)
    {
    }

    /// <summary>Brings the source up to date; once for each round of <see cref="Identify"/>.</summary>
    void Refresh();

    /// <summary>Whether it may, since this was last called, say something else of any interface, also of one whose pod was known.</summary>
    bool TakeChanges();

    /// <summary>Null where it is not known yet.</summary>
    PodIdentity? Identify(PodInterface owner);

    /// <summary>
    /// Whether the interface is not of the pod that it was said to be of, after <see cref="Identify"/> has found none: then it has no pod.
    /// </summary>
    bool IsWrong(PodInterface owner) => false;

    /// <summary>The interface is gone, and will not be asked for again.</summary>
    void Forget(PodInterface owner);

    /// <summary>Pods that are known otherwise than by an interface. May be called by anybody.</summary>
    IEnumerable<KnownPod> GetKnownPods();
}
