using System.Net;
using Exporter.Pods;

namespace Exporter.Kubernetes;

/// <summary>
/// Finds the claim of an interface among the claims to its addresses: by proof, or by matching the interfaces that had an address with the
/// pods that had it, in their orders.
/// </summary>
internal sealed class ClaimMatcher(PodStore store, WaitingInterfaces waiting, ClaimRules rules)
{
    /// <summary>How much newer a list must be than the state that it decides.</summary>
    internal static readonly TimeSpan ListDelay = TimeSpan.FromSeconds(5);

    /// <summary>
    /// When the last interface went whose place in the order was given up for want of room; null where there was none. Pods that are older may be its own, and
    /// have no place either.
    /// </summary>
    internal DateTimeOffset? GivenUpAt { get; set; }

    /// <summary>The claim of a waiting interface; null if none is decided.</summary>
    internal AddressClaim? Find(PodInterface owner)
    {
        var addresses = waiting.GetAddresses(owner);
        if (FindShared(owner, addresses.SelectMany(address => store.GetClaims(address))) is { } shared)
        {
            return shared;
        }
        foreach (var address in addresses)
        {
            var claims = store.GetClaims(address);
            if (!claims.IsEmpty && (FindProven(owner, address, claims) ?? FindNext(owner, address, claims) ?? FindConfirmed(owner, claims)) is { } claim)
            {
                return claim;
            }
        }
        return null;
    }

    /// <summary>
    /// Finds a living pod's claim for an interface whose own claim is over, or is wanted by an interface that has no other claim. The first
    /// match was wrong then: an event was late, or two pods have the address.
    /// </summary>
    internal AddressClaim? FindBetter(PodInterface owner, AddressClaim current)
    {
        if (owner.GoneAt is not null)
        {
            return null;
        }
        // A pod may show one of its addresses no longer.
        var claims = owner.Addresses.SelectMany(address => store.GetClaims(address)).Where(ClaimRules.IsLiving).ToList();
        var living = ClaimRules.IsLiving(current) ? current : claims.Find(claim => claim.Pod == current.Pod);
        return living is not null && !IsContested(owner, living)
            ? null
            : claims.FindLast(claim => claim.Pod != current.Pod
                && ClaimRules.IsFree(claim)
                && rules.MayBe(owner, claim)
                && (claim.Interfaces.Count == 0 || ClaimRules.IsProven(owner, claim)));
    }

    /// <summary>
    /// The claim of a living pod without an interface, if no other pod has claimed the address since: the pod's sandbox was recreated, or its times
    /// are missing. Only a list can confirm that: the pod may have ended, and another pod may have the address. The claim needs a sign that is not
    /// older than the interface, or an event since the interface came, of a pod whose previous interface is gone.
    /// </summary>
    internal AddressClaim? FindUnconfirmed(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        owner.GoneAt is null
        && claims.LastOrDefault() is { } last
        && ClaimRules.IsLiving(last)
        && ClaimRules.IsFree(last)
        && !IsContested(owner, last)
        && (rules.IsSigned(owner, last) || (last.Interfaces.Count > 0 && last.Pod.ChangedAt > owner.AddressedOrSeenAt))
            ? last
            : null;

    /// <summary>A list that was asked for at this time or later confirms the claim.</summary>
    internal static DateTimeOffset ConfirmableAt(PodInterface owner, AddressClaim claim) =>
        (claim.Pod.ChangedAt > owner.AddressedOrSeenAt ? claim.Pod.ChangedAt : owner.AddressedOrSeenAt) + ListDelay;

    /// <summary>
    /// Gives up on an interface that is gone. If it may have had a claim that is over, and another interface may have had it too, no interface gets
    /// that claim.
    /// </summary>
    internal void Dispute(PodInterface departed)
    {
        foreach (var address in waiting.GetAddresses(departed))
        {
            foreach (var claim in store.GetClaims(address)
                .Where(claim => claim is { Interfaces.Count: 0, EndTime: not null } && rules.MayBe(departed, claim) && IsAmbiguous(departed, address, claim)))
            {
                claim.IsDisputed = true;
            }
        }
    }

    /// <summary>Whether another present interface without a pod may have the claim.</summary>
    private bool IsContested(PodInterface owner, AddressClaim claim) =>
        waiting.GetInOrder(claim.Address).Any(other => other.First != owner.First && other.GoneAt is null && rules.MayBe(other, claim));

    /// <summary>
    /// Whether another interface without a pod may have the claim, and the order does not decide, since pods were missed: the claim came with a
    /// list, or one of the two interfaces was there when a list replaced events.
    /// </summary>
    private bool IsAmbiguous(PodInterface owner, IPAddress address, AddressClaim claim) =>
        waiting.GetInOrder(address).Any(other => other.First != owner.First
            && rules.MayBe(other, claim)
            && (claim.IsListed || owner.SeenAt < store.GapAt || other.SeenAt < store.GapAt));

    /// <summary>The claim of another interface with the same peer namespace.</summary>
    private static AddressClaim? FindShared(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        claims.LastOrDefault(claim => claim.IsOf(owner) && !ClaimRules.IsRefuted(owner, claim));

    /// <summary>
    /// The claim of a pod that had a sandbox with this address since the interface has it: on one node no two sandboxes have it at once. This
    /// also finds a sandbox that was recreated for the same pod. It does not apply while another interface with the address is present: the previous
    /// sandbox may still run.
    /// </summary>
    private AddressClaim? FindProven(PodInterface owner, IPAddress address, IEnumerable<AddressClaim> claims) =>
        owner.GoneAt is not null || waiting.GetInOrder(address).Any(other => other.First != owner.First && other.GoneAt is null)
            ? null
            : claims.LastOrDefault(claim => ClaimRules.IsFree(claim)
                && ClaimRules.IsProven(owner, claim)
                && !(claim.EndTime < owner.SeenAt)
                && !ClaimRules.IsRefuted(owner, claim));

    /// <summary>The claim that remains once the interfaces that had the address before have theirs.</summary>
    private AddressClaim? FindNext(PodInterface owner, IPAddress address, IEnumerable<AddressClaim> claims)
    {
        var free = claims.Where(claim => claim.Interfaces.Count == 0 && (GivenUpAt is not { } givenUp || givenUp < claim.StartTime)).ToList();
        // Whether an interface that may have one of these claims has a later one instead cannot be decided.
        var undecided = new List<AddressClaim>();
        // Interfaces with the same peer namespace take one place, and one claim.
        foreach (var siblings in waiting.GetInOrder(address).GroupBy(other => other.First))
        {
            var (claim, other, isAmbiguous) = Choose(siblings, address, free);
            isAmbiguous |= claim is not null && !(other.GoneAt is null && ClaimRules.IsLiving(claim)) && undecided.Exists(each => rules.MayBe(other, each));
            if (siblings.Key == owner.First)
            {
                return isAmbiguous ? null : claim;
            }
            if (claim is null)
            {
                continue;
            }
            if (isAmbiguous)
            {
                undecided.AddRange(free.FindAll(each => rules.MayBe(other, each)));
                free.RemoveAll(undecided.Contains);
            }
            else
            {
                free.Remove(claim);
            }
        }
        return null;
    }

    /// <summary>Chooses the claim of a namespace by one of its interfaces: the first that is there and has one, else the first that had one.</summary>
    private (AddressClaim? Claim, PodInterface By, bool IsAmbiguous) Choose(IEnumerable<PodInterface> siblings, IPAddress address, List<AddressClaim> free)
    {
        foreach (var sibling in siblings.OrderBy(sibling => sibling.GoneAt is not null))
        {
            if (Choose(sibling, address, free, out var isAmbiguous) is { } claim)
            {
                return (claim, sibling, isAmbiguous);
            }
        }
        return (null, siblings.First(), false);
    }

    /// <summary>
    /// Chooses the oldest of the claims that fit, but for a present interface a living pod's: a pod that is ending had the address before. Of
    /// claims in one list the newest sign decides. An ambiguous claim waits until the other interfaces have theirs, and so do later claims.
    /// </summary>
    private AddressClaim? Choose(PodInterface owner, IPAddress address, List<AddressClaim> free, out bool isAmbiguous)
    {
        var fitting = free.FindAll(claim => rules.MayBe(owner, claim));
        var living = owner.GoneAt is null ? fitting.FindAll(claim => ClaimRules.IsLiving(claim) && !IsAmbiguous(owner, address, claim)) : [];
        isAmbiguous = living.Count == 0 && fitting.Count > 0 && IsAmbiguous(owner, address, fitting[0]);
        return living.Count == 0 ? fitting.FirstOrDefault()
            : owner.BornAfter is null ? living.MaxBy(claim => claim.SignAt ?? DateTimeOffset.MinValue)
            : living[0];
    }

    /// <summary>A claim that a list has confirmed.</summary>
    private AddressClaim? FindConfirmed(PodInterface owner, IEnumerable<AddressClaim> claims) =>
        FindUnconfirmed(owner, claims) is { } claim && store.CompleteAt >= ConfirmableAt(owner, claim) ? claim : null;
}
