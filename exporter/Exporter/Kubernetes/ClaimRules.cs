using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>Whether an interface can be of the sandbox that a claim is about, by times and addresses alone.</summary>
/// <param name="bootedAt">When the node was started, by its clock: no interface is older.</param>
internal sealed class ClaimRules(DateTimeOffset bootedAt)
{
    /// <summary>A pod's times are in whole seconds, rounded down, and the kernel's events may be read a moment late.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(2);

    /// <summary>Whether the pod runs and is not being deleted.</summary>
    internal static bool IsLiving(AddressClaim claim) => claim is { EndTime: null, Pod.IsEnding: false };

    /// <summary>Whether no interface that is there has the claim.</summary>
    internal static bool IsFree(AddressClaim claim) => claim.Interfaces.All(owner => owner.GoneAt is not null);

    /// <summary>Whether the pod had a sandbox with the address since the interface has the address.</summary>
    internal static bool IsProven(PodInterface owner, AddressClaim claim) => claim.SandboxAt >= owner.AddressedAt;

    /// <summary>Whether the interface outlived the claim of a pod that has other addresses since. A kubelet may remove them for a moment.</summary>
    internal static bool IsRefuted(PodInterface owner, AddressClaim claim) =>
        claim.EndTime is { } end && !(owner.GoneAt <= end + Tolerance) && HasOtherAddresses(claim.Pod.State, owner);

    internal static bool HasOtherAddresses(PodState state, PodInterface owner) =>
        state.Addresses.Count > 0 && owner.Addresses.Count > 0 && !state.Addresses.Intersect(owner.Addresses).Any();

    /// <summary>Whether the times allow that the interface is of the claim's sandbox.</summary>
    internal bool MayBe(PodInterface owner, AddressClaim claim) =>
        !claim.IsDisputed
        && !(owner.SeenAt < claim.StartTime)
        && !(claim.EndTime < (owner.WithoutAddressesAt ?? owner.SeenAt) - Tolerance)
        && !(owner.GoneAt < claim.ListedAt)
        && !(owner.GoneAt < claim.SandboxAt)
        && IsSigned(owner, claim)
        && !IsRefuted(owner, claim);

    /// <summary>
    /// Whether a sign of the claim's sandbox is not older than the interface, nor than when the interface had no addresses. An interface that was there before
    /// the exporter's first list may be as old as the node's boot; for it, a start of the pod after the boot is enough.
    /// </summary>
    internal bool IsSigned(PodInterface owner, AddressClaim claim) =>
        (owner.WithoutAddressesAt ?? owner.BornAfter) is { } born ? claim.SignAt >= born : !((claim.SignAt > claim.StartTime ? claim.SignAt : claim.StartTime ?? claim.SignAt) < bootedAt);
}
