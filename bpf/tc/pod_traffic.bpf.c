// SPDX-License-Identifier: GPL-2.0
/*
 * Counts every packet of a pod at the host's end of its veth or netkit pair.
 *
 * TC ingress of the host's end is what the pod TRANSMITS, TC egress what it
 * RECEIVES. This is the one place where the two views meet: below, and in user
 * space, only the pod's view exists.
 *
 * The programs count and never decide: they return TCX_NEXT (-1, the same
 * value as TC_ACT_UNSPEC), so that programs later in the chain still run.
 *
 * Plain additions are enough, although a hash value's copy for this CPU is not
 * otherwise protected: both hooks run with bottom halves disabled, so on one
 * CPU no packet overtakes another, and the two programs write different halves
 * of the value. (A PREEMPT_RT kernel without the per-CPU lock of its softirqs
 * would need atomic additions.)
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "count_flow.h"
#include "kernel.h"
#include "loss.h"
#include "maps.h"
#include "packet.h"
#include "pod_traffic.h"

#define TCX_NEXT (-1)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* include/linux/netdev_features.h: the bit of a GSO type in a device's features */
#define NETIF_F_GSO_SHIFT	16
#define NETIF_F_FRAGLIST	(1ULL << 6)
#define NETIF_F_HW_VLAN_CTAG_TX (1ULL << 7)

/* include/linux/skbuff.h: segments of unequal size, as SCTP makes them */
#define GSO_BY_FRAGS 0xffff

struct traffic_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TRAFFIC_MAX_INTERFACES);
	__type(key, struct traffic_key);
	__type(value, struct traffic_value);
} traffic_a SEC(".maps"), traffic_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct traffic_map);
} traffic_active SEC(".maps") = {
	.values = { &traffic_a },
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_REASONS);
	__type(key, __u32);
	__type(value, struct loss);
} traffic_losses SEC(".maps");

/* Too large for the stack. */
static const volatile struct traffic_value no_traffic;

/* What one skb amounts to. */
struct load {
	__u64 packets;
	__u64 bytes;
	__u64 segments;
	__u32 segment_len; /* of every segment but the last */
	__u32 last_len;
};

/*
 * __netif_receive_skb_core() takes an 802.1Q tag that stands in the frame out
 * of it before TC runs, so the frame is four bytes shorter here than it was
 * when the interface counted it. A tag that travelled in the skb's metadata,
 * as VLAN devices send it, never was in the frame. They differ by the bytes
 * that skb_reorder_vlan_header() leaves in front of the frame when it moves the
 * addresses over the tag: the first four bytes of the destination.
 */
static __always_inline bool tag_was_in_frame(struct __sk_buff *ctx)
{
	struct sk_buff *skb = (void *)ctx;
	unsigned char *head;
	__u32 address, left_behind;
	__u16 mac_header;

	if (bpf_core_read(&head, sizeof(head), &skb->head) ||
	    bpf_core_read(&mac_header, sizeof(mac_header), &skb->mac_header) || mac_header < VLAN_HLEN)
		return false;
	head += mac_header;
	if (bpf_probe_read_kernel(&address, sizeof(address), head) ||
	    bpf_probe_read_kernel(&left_behind, sizeof(left_behind), head - VLAN_HLEN))
		return false;
	return address == left_behind;
}

/*
 * Whether the skb is larger than what the device takes at once, as in
 * gso_features_check(). Kernels from before January 2024 do not look at the
 * length there.
 */
static __always_inline bool is_above_gso_limits(struct sk_buff *skb, __u32 len, __u32 segs, struct net_device *dev)
{
	unsigned int max_size;
	__u16 max_segs;
	__be16 protocol;

	if (bpf_core_read(&max_segs, sizeof(max_segs), &dev->gso_max_segs) ||
	    bpf_core_read(&protocol, sizeof(protocol), &skb->protocol) ||
	    bpf_core_read(&max_size, sizeof(max_size), &dev->gso_max_size))
		return false;
	if (protocol != bpf_htons(ETH_P_IPV6) && bpf_core_field_exists(dev->gso_ipv4_max_size) &&
	    bpf_core_read(&max_size, sizeof(max_size), &dev->gso_ipv4_max_size))
		return false;
	return segs > max_segs || len >= max_size;
}

/*
 * Whether validate_xmit_skb() will cut this skb into segments after TC has
 * seen it: the interface then counts the segments. As in skb_gso_ok(), it does
 * where the device lacks a feature that the skb's type of GSO, or its list of
 * fragments (SCTP's way), asks for; and it has none for an skb above its
 * limits.
 */
static __always_inline bool device_lacks_gso(struct __sk_buff *ctx, __u32 len, __u32 segs)
{
	struct sk_buff *skb = (void *)ctx;
	struct skb_shared_info *shared;
	struct sk_buff *frag_list;
	struct net_device *dev;
	unsigned char *head;
	unsigned int end, gso_type;
	__u64 features;

	if (bpf_core_read(&dev, sizeof(dev), &skb->dev) || bpf_core_read(&features, sizeof(features), &dev->features) ||
	    bpf_core_read(&head, sizeof(head), &skb->head) || bpf_core_read(&end, sizeof(end), &skb->end))
		return false;
	shared = (void *)(head + end);
	if (bpf_core_read(&gso_type, sizeof(gso_type), &shared->gso_type) ||
	    bpf_core_read(&frag_list, sizeof(frag_list), &shared->frag_list))
		return false;
	if (gso_type && is_above_gso_limits(skb, len, segs, dev))
		return true;
	return (((__u64)gso_type << NETIF_F_GSO_SHIFT) | (frag_list ? NETIF_F_FRAGLIST : 0)) & ~features;
}

/*
 * Whether validate_xmit_vlan() will put the tag from the skb's metadata into
 * the frame after TC has seen it: where the device does not take it beside the
 * frame. Its feature bit for 802.1ad tags comes behind the GSO types, whose
 * number differs from kernel to kernel, so only 802.1Q is recognized.
 */
static __always_inline bool tag_comes_into_frame(struct __sk_buff *ctx)
{
	struct sk_buff *skb = (void *)ctx;
	struct net_device *dev;
	__u64 features;

	return ctx->vlan_proto == bpf_htons(ETH_P_8021Q) && !bpf_core_read(&dev, sizeof(dev), &skb->dev) &&
	       !bpf_core_read(&features, sizeof(features), &dev->features) && !(features & NETIF_F_HW_VLAN_CTAG_TX);
}

/* Of an skb that stands for several packets on the wire. */
static __always_inline void measure_gso(struct __sk_buff *skb, const struct packet *packet, bool leaves,
					struct load *load)
{
	__u32 headers = headers_len(skb, packet);
	__u32 len = load->bytes;
	__u32 skb_len = skb->len;
	__u32 tag = load->bytes - skb_len; /* every segment has it */
	__u32 gso_segs = skb->gso_segs;
	__u32 segments = gso_segs;
	__u32 size = skb->gso_size;
	__u64 wire_bytes;

	headers = headers ? headers + tag : 0;
	if (headers >= len)
		headers = 0;
	/* A sender outside of the kernel (TUN, AF_PACKET) need not say how many. */
	if (!segments)
		segments = size == GSO_BY_FRAGS ? 1 : (len - headers + size - 1) / size;
	if (!segments)
		segments = 1;

	wire_bytes = len + (__u64)(segments - 1) * headers;
	load->segments = segments;
	load->segment_len = headers + size;
	if (!headers || size == GSO_BY_FRAGS || (__u64)(segments - 1) * load->segment_len >= wire_bytes)
		load->segment_len = wire_bytes / segments;
	load->last_len = wire_bytes - (__u64)(segments - 1) * load->segment_len;

	if (leaves && device_lacks_gso(skb, skb_len, gso_segs)) {
		load->packets = segments;
		load->bytes = wire_bytes;
	}
}

/* The most frequent first; a switch would be a search, and an index a multiplication. */
static __always_inline struct traffic_count *count_of(struct traffic_direction *direction, __u32 protocol)
{
	if (likely(protocol == IPPROTO_TCP))
		return &direction->transports[TRAFFIC_TCP];
	if (protocol == IPPROTO_UDP)
		return &direction->transports[TRAFFIC_UDP];
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		return &direction->transports[TRAFFIC_ICMP];
	if (protocol == IPPROTO_SCTP)
		return &direction->transports[TRAFFIC_SCTP];
	return &direction->transports[TRAFFIC_OTHER];
}

static __always_inline struct traffic_size *size_of(struct traffic_direction *direction, __u32 len)
{
	static const __u32 bounds[] = TRAFFIC_SIZE_BOUNDS;

#pragma unroll
	for (__u32 bucket = 0; bucket < TRAFFIC_SIZES - 1; bucket++) {
		if (len <= bounds[bucket])
			return &direction->sizes[bucket];
	}
	return &direction->sizes[TRAFFIC_SIZES - 1];
}

static __always_inline void add_size(struct traffic_direction *direction, __u32 len, __u64 segments)
{
	struct traffic_size *size = size_of(direction, len);

	size->segments += segments;
	size->bytes += segments * len;
}

static __always_inline void count_loss(int error, const struct load *load)
{
	__u32 reason = loss_reason(error);
	struct loss *loss = bpf_map_lookup_elem(&traffic_losses, &reason);

	if (!loss)
		return;
	loss->packets += load->packets;
	loss->bytes += load->bytes;
}

static __always_inline void add_load(struct traffic_direction *direction, __u32 protocol, const struct load *load)
{
	struct traffic_count *count = count_of(direction, protocol);

	count->packets += load->packets;
	count->bytes += load->bytes;
	count->segments += load->segments;
	add_size(direction, load->last_len, 1);
	if (load->segments > 1)
		add_size(direction, load->segment_len, load->segments - 1);
}

/*
 * Any packet: with tags, with headers that are not linear, one that stands for
 * several, or one that has no room in the map, when direction is NULL.
 *
 * A function of its own, so that the registers and the stack that it takes cost
 * the other packets nothing.
 */
static __noinline int count_any(struct __sk_buff *skb, struct traffic_direction *direction, int error, bool transmit)
{
	struct packet packet = parse_packet(skb);
	struct load load = { .packets = 1, .bytes = skb->len, .segments = 1 };

	if (skb->vlan_present && (transmit ? tag_was_in_frame(skb) : tag_comes_into_frame(skb)))
		load.bytes += VLAN_HLEN;
	load.last_len = load.bytes;
	if (skb->gso_size)
		measure_gso(skb, &packet, !transmit, &load);
	if (!direction) {
		count_loss(error, &load);
		return TCX_NEXT;
	}
	add_load(direction, packet.protocol, &load);
	if (flow_settings.is_on) {
		struct flow_load flow = { .packets = load.packets, .bytes = load.bytes, .segments = load.segments };

		count_flow_any(skb, &packet, &flow, transmit);
	}
	return TCX_NEXT;
}

/*
 * Where most packets are counted: IP right behind Ethernet, in the linear part,
 * without IPv4's options or IPv6's extension headers. NULL of all others. It
 * takes a look at the length, one at Ethernet's type and IP's version, and one
 * at the protocol.
 */
static __always_inline struct traffic_count *plain_count(struct __sk_buff *skb, struct traffic_direction *direction)
{
	const void *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = data + ETH_HLEN;
	const struct ipv6hdr *ip6 = data + ETH_HLEN;
	__u32 kind;

	if (unlikely((const void *)(ip + 1) > end))
		return NULL;
	kind = *(const __u32 *)(data + offsetof(struct ethhdr, h_proto));
	if (likely((kind & PLAIN_IPV4_MASK) == PLAIN_IPV4))
		return count_of(direction, ip->protocol);
	if ((kind & PLAIN_IPV6_MASK) != PLAIN_IPV6 || (const void *)(ip6 + 1) > end)
		return NULL;
	if (ip6->nexthdr == IPPROTO_TCP)
		return &direction->transports[TRAFFIC_TCP];
	if (ip6->nexthdr == IPPROTO_UDP)
		return &direction->transports[TRAFFIC_UDP];
	return is_ipv6_extension(ip6->nexthdr) ? NULL : count_of(direction, ip6->nexthdr);
}

/* The first packet of its interface since the last drain. */
static __noinline int count_first(struct __sk_buff *skb, bool transmit)
{
	int error = 0;
	struct traffic_key key = { .ifindex = skb->ifindex };
	struct traffic_value *value = find_or_make(&traffic_active, &key, (const void *)&no_traffic, &error);

	if (!value)
		return count_any(skb, NULL, error, transmit);
	return count_any(skb, transmit ? &value->transmit : &value->receive, 0, transmit);
}

/* The map comes first: no call after it forces values out of the registers. */
static __always_inline int count_packet(struct __sk_buff *skb, bool transmit)
{
	struct traffic_key key = { .ifindex = skb->ifindex };
	struct traffic_direction *direction;
	struct traffic_value *value;
	struct traffic_count *count;
	struct traffic_size *size;
	__u32 slot = 0;
	void *active;

	active = bpf_map_lookup_elem(&traffic_active, &slot);
	if (unlikely(!active))
		return count_first(skb, transmit);
	value = bpf_map_lookup_elem(active, &key);
	if (unlikely(!value))
		return count_first(skb, transmit);
	direction = transmit ? &value->transmit : &value->receive;
	__builtin_assume(direction);
	if (unlikely(skb->gso_size || skb->vlan_present))
		return count_any(skb, direction, 0, transmit);
	count = plain_count(skb, direction);
	if (unlikely(!count))
		return count_any(skb, direction, 0, transmit);
	size = size_of(direction, skb->len);
	count->packets++;
	count->bytes += skb->len;
	count->segments++;
	size->segments++;
	size->bytes += skb->len;
	if (flow_settings.is_on)
		count_flow_plain(skb, transmit);
	return TCX_NEXT;
}

SEC("tc")
int podnet_transmit(struct __sk_buff *skb)
{
	return count_packet(skb, true);
}

SEC("tc")
int podnet_receive(struct __sk_buff *skb)
{
	return count_packet(skb, false);
}

char _license[] SEC("license") = "GPL";
