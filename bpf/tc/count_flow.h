/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counts a packet in its flow, or in the row of its interface where it is in
 * none. A part of pod_traffic.bpf.c, whose programs call it once for each
 * packet that they have counted.
 *
 * Both directions of a flow, and all CPUs, share one value: counters are added
 * to atomically, and all else is a store that any CPU may make.
 */
#ifndef PODNET_COUNT_FLOW_H
#define PODNET_COUNT_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "flow.h"
#include "loss.h"
#include "maps.h"
#include "packet.h"

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_ACK 0x10
#define TCP_FLAGS    8

/* Of a sample's tuples: any odd number with bits all over. */
#define HASH_FACTOR 0x9e3779b97f4a7c15ULL

/* A socket is looked at with the first and each sixteenth packet, and with a FIN. */
#define SOCKET_PACKETS_MASK 15

const volatile struct flow_settings flow_settings SEC(".rodata.flows");

struct flow_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_MAX_ENTRIES);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows_a SEC(".maps"), flows_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct flow_map);
} flows_active SEC(".maps") = {
	.values = { &flows_a },
};

/* What one skb amounts to in its flow. */
struct flow_load {
	__u64 packets;
	__u64 bytes;
	__u64 segments;
};

/* What a TCP header says about its connection. */
struct flow_tcp {
	__u32 seq;
	__u32 flags; /* 0: not TCP, or its header is cut off */
};

static __always_inline __u64 hash_end(const __u8 *address, __be16 port)
{
	const __u32 *words = (const void *)address;
	__u64 hash = port;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		hash = (hash ^ words[i]) * HASH_FACTOR;
		hash ^= hash >> 29;
	}
	return hash;
}

/* Both ends see the same number, whatever direction a packet has. */
static __always_inline bool is_sampled(const struct flow_key *key)
{
	__u64 hash = hash_end(key->local, key->local_port) + hash_end(key->remote, key->remote_port) + key->protocol;

	hash *= HASH_FACTOR;
	return (__u32)(hash >> 32) % flow_settings.sampling == 0;
}

static __always_inline void set_ports(struct flow_key *key, __be16 source, __be16 destination, bool transmit)
{
	key->local_port = transmit ? source : destination;
	key->remote_port = transmit ? destination : source;
}

/* The type of the message that answers this one, or is answered by it; -1 where none is. */
static __always_inline int icmp_counterpart(__u32 protocol, __u32 type)
{
	if (protocol == IPPROTO_ICMP) {
		switch (type) {
		case 0: /* echo reply */
			return 8;
		case 8:
			return 0;
		case 9: /* router advertisement */
			return 10;
		case 10:
			return 9;
		case 13: /* timestamp */
			return 14;
		case 14:
			return 13;
		case 15: /* information */
			return 16;
		case 16:
			return 15;
		case 17: /* address mask */
			return 18;
		case 18:
			return 17;
		}
		return -1;
	}
	switch (type) {
	case 128: /* echo request */
		return 129;
	case 129:
		return 128;
	case 133: /* router solicitation */
		return 134;
	case 134:
		return 133;
	case 135: /* neighbor solicitation */
		return 136;
	case 136:
		return 135;
	case 130: /* multicast listener query */
		return 131;
	case 131:
		return 130;
	case 144: /* home agent address discovery */
		return 145;
	case 145:
		return 144;
	case 139: /* node information */
		return 140;
	case 140:
		return 139;
	}
	return -1;
}

/*
 * The code of a message without a counterpart has a bit that no type has: else
 * it would be in the flow of a message that the other end sends, of which the
 * type is this code and the code this type.
 */
static __always_inline void set_icmp(struct flow_key *key, __u32 type, __u32 code, bool transmit)
{
	int counterpart = icmp_counterpart(key->protocol, type);

	set_ports(key, bpf_htons(type), bpf_htons(counterpart < 0 ? code | FLOW_ICMP_CODE : counterpart), transmit);
}

/*
 * The tuple of a packet whose addresses are read already: its ports, where its
 * protocol has some and they are in the packet.
 */
static __always_inline void read_transport(struct __sk_buff *skb, __u32 offset, bool transmit, struct flow_key *key,
					   struct flow_tcp *tcp)
{
	struct tcphdr header;

	switch (key->protocol) {
	case IPPROTO_TCP:
		if (!bpf_skb_load_bytes(skb, offset, &header, sizeof(header))) {
			set_ports(key, header.source, header.dest, transmit);
			tcp->seq = bpf_ntohl(header.seq);
			tcp->flags = ((__u8 *)&header)[13];
			return;
		}
		/* A header that is cut off may still have its ports. */
		break;
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		break;
	default:
		return;
	}
	if (bpf_skb_load_bytes(skb, offset, &header, 4))
		return;
	if (key->protocol == IPPROTO_ICMP || key->protocol == IPPROTO_ICMPV6)
		set_icmp(key, ((__u8 *)&header)[0], ((__u8 *)&header)[1], transmit);
	else
		set_ports(key, header.source, header.dest, transmit);
}

/* The tuple of a packet, read through the helpers that any packet allows. Returns whether it is one. */
static __always_inline bool read_any(struct __sk_buff *skb, const struct packet *packet, bool transmit,
				     struct flow_key *key, struct flow_tcp *tcp)
{
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (packet->protocol == PACKET_NOT_IP)
		return false;
	key->protocol = packet->protocol;
	if (packet->is_ipv6) {
		if (bpf_skb_load_bytes(skb, packet->network_offset, &ip6, sizeof(ip6)))
			return false;
		key->family = FLOW_IPV6;
		__builtin_memcpy(transmit ? key->local : key->remote, &ip6.saddr, sizeof(ip6.saddr));
		__builtin_memcpy(transmit ? key->remote : key->local, &ip6.daddr, sizeof(ip6.daddr));
		if (packet->transport_offset)
			read_transport(skb, packet->transport_offset, transmit, key, tcp);
		return true;
	}
	if (bpf_skb_load_bytes(skb, packet->network_offset, &ip, sizeof(ip)))
		return false;
	key->family = FLOW_IPV4;
	__builtin_memcpy(transmit ? key->local : key->remote, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(transmit ? key->remote : key->local, &ip.daddr, sizeof(ip.daddr));
	if (!(ip.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET)))
		read_transport(skb, packet->transport_offset, transmit, key, tcp);
	return true;
}

/*
 * The tuple of the packets that are most: TCP and UDP right behind IP, right
 * behind Ethernet, in the linear part. Returns whether it is such a one.
 */
static __always_inline bool read_plain(struct __sk_buff *skb, bool transmit, struct flow_key *key, struct flow_tcp *tcp)
{
	const void *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;
	const struct iphdr *ip = data + ETH_HLEN;
	const struct ipv6hdr *ip6 = data + ETH_HLEN;
	const struct tcphdr *transport;
	__u32 kind;

	/* Of UDP the header is shorter, but the shortest frame is not. */
	if (data + ETH_HLEN + sizeof(*ip) + sizeof(*transport) > end)
		return false;
	kind = *(const __u32 *)(data + offsetof(struct ethhdr, h_proto));
	if ((kind & PLAIN_IPV4_MASK) == PLAIN_IPV4) {
		if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET))
			return false;
		key->family = FLOW_IPV4;
		key->protocol = ip->protocol;
		*(__u32 *)key->local = transmit ? ip->saddr : ip->daddr;
		*(__u32 *)key->remote = transmit ? ip->daddr : ip->saddr;
		transport = (const void *)(ip + 1);
	} else if ((kind & PLAIN_IPV6_MASK) == PLAIN_IPV6) {
		transport = (const void *)(ip6 + 1);
		if ((const void *)(transport + 1) > end)
			return false;
		key->family = FLOW_IPV6;
		key->protocol = ip6->nexthdr;
		__builtin_memcpy(key->local, transmit ? &ip6->saddr : &ip6->daddr, sizeof(key->local));
		__builtin_memcpy(key->remote, transmit ? &ip6->daddr : &ip6->saddr, sizeof(key->remote));
	} else {
		return false;
	}
	if (key->protocol == IPPROTO_TCP) {
		tcp->seq = bpf_ntohl(transport->seq);
		tcp->flags = ((const __u8 *)transport)[13];
	} else if (key->protocol != IPPROTO_UDP) {
		return false;
	}
	set_ports(key, transport->source, transport->dest, transmit);
	return true;
}

/*
 * The row of an interface and a direction, made where there is none since the
 * last swap. The map has room for all of them, since flows end before it is
 * full. NULL where the map is busy.
 */
static __always_inline struct flow_rest *find_rest(void *active, __u32 ifindex, __u32 direction)
{
	static const volatile struct flow_rest no_rest;
	struct flow_key key = { .ifindex = ifindex, .protocol = direction };
	int error = 0;

	return find_or_make_in(active, &key, (const void *)&no_rest, &error);
}

/* The map's own row, which user space makes before the map is counted into. */
static __always_inline struct flow_rest *find_limits(void *active)
{
	struct flow_key key = {};

	return bpf_map_lookup_elem(active, &key);
}

static __always_inline void count_unrecorded(void *active, __u32 ifindex, bool transmit, __u32 reason,
					     const struct flow_load *load)
{
	struct flow_rest *rest = find_rest(active, ifindex, transmit ? FLOW_TRANSMIT : FLOW_RECEIVE);

	if (!rest)
		rest = find_limits(active);
	if (!rest || reason >= FLOW_UNRECORDED)
		return;
	__sync_fetch_and_add(&rest->unrecorded[reason].packets, load->packets);
	__sync_fetch_and_add(&rest->unrecorded[reason].bytes, load->bytes);
}

/*
 * Makes the flow of a packet that is the first one since the last swap, where
 * its interface may have another one. Returns 0, or the reason plus one.
 */
static __noinline int make_flow(void *active, const struct flow_key *key, bool transmit)
{
	static const volatile struct flow_value from_transmit = { .origin = FLOW_TRANSMIT };
	static const volatile struct flow_value from_receive = { .origin = FLOW_RECEIVE };
	struct flow_rest *limits, *rest;
	int error;

	limits = find_limits(active);
	if (!limits)
		return LOSS_MAP_ERROR + 1;
	rest = find_rest(active, key->ifindex, FLOW_TRANSMIT);
	if (!rest)
		return LOSS_MAP_BUSY + 1;
	if (limits->inserts >= limits->max_flows)
		return LOSS_MAP_FULL + 1;
	if (rest->inserts >= limits->pod_max)
		return FLOW_POD_FULL + 1;
	if (limits->inserts >= limits->max_flows / 2 && rest->inserts >= limits->pod_share)
		return FLOW_POD_FULL + 1;
	error = bpf_map_update_elem(active, key, transmit ? (const void *)&from_transmit : (const void *)&from_receive,
				    BPF_NOEXIST);
	if (!error) {
		__sync_fetch_and_add(&limits->inserts, 1);
		__sync_fetch_and_add(&rest->inserts, 1);
		return 0;
	}
	/* Another CPU was first. */
	return error == -EEXIST ? 0 : loss_reason(error) + 1;
}

/*
 * The packet's own socket: of what a pod sends it is the pod's, since an skb
 * keeps its socket when it leaves a network namespace. Of what a pod receives
 * it would be the sender's, which is not looked at. One that was made by a
 * translation inside of the pod, or forwarded by it, has other ports.
 */
static __always_inline void read_socket(struct __sk_buff *skb, __be16 port, struct flow_value *value)
{
	struct bpf_sock *sk = skb->sk;
	struct bpf_tcp_sock *tcp;

	if (!sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->src_port != bpf_ntohs(port))
		return;
	tcp = bpf_tcp_sock(sk);
	if (!tcp)
		return;
	value->retransmits = tcp->total_retrans;
	value->has_socket = 1;
	if (!tcp->srtt_us)
		return;
	value->srtt_us = tcp->srtt_us;
	if (!value->rtt_min_us || tcp->rtt_min < value->rtt_min_us)
		value->rtt_min_us = tcp->rtt_min;
}

/* Another connection begins with the tuple: all that was set is of the one before. */
static __always_inline void age_flags(struct flow_half *half)
{
#pragma unroll
	for (int i = 0; i < TCP_FLAGS; i++) {
		if (half->flags[i])
			half->flags[i] = FLOW_FLAG_EARLIER;
	}
}

/* A SYN without ACK. It was sent before if it has the sequence number of the last one. */
static __always_inline void begin_connection(struct flow_value *value, struct flow_half *half, __u32 seq)
{
	if (half->connections && half->initial_seq == seq)
		return;
	age_flags(&value->transmit);
	age_flags(&value->receive);
	half->initial_seq = seq;
	__sync_fetch_and_add(&half->connections, 1);
}

static __always_inline void add_flags(struct flow_value *value, struct flow_half *half, const struct flow_tcp *tcp)
{
	/* Most segments have these, and most values have them already. */
	if ((tcp->flags & TCP_FLAG_ACK) && half->flags[4] != FLOW_FLAG_SET)
		half->flags[4] = FLOW_FLAG_SET;
	if ((tcp->flags & TCP_FLAG_PSH) && half->flags[3] != FLOW_FLAG_SET)
		half->flags[3] = FLOW_FLAG_SET;
	if (!(tcp->flags & ~(TCP_FLAG_ACK | TCP_FLAG_PSH)))
		return;
	if (tcp->flags & TCP_FLAG_SYN) {
		if (!(tcp->flags & TCP_FLAG_ACK))
			begin_connection(value, half, tcp->seq);
		__sync_fetch_and_add(&half->syns, 1);
	}
	if (tcp->flags & TCP_FLAG_RST)
		__sync_fetch_and_add(&half->resets, 1);
#pragma unroll
	for (int i = 0; i < TCP_FLAGS; i++) {
		if (tcp->flags & 1 << i)
			half->flags[i] = FLOW_FLAG_SET;
	}
}

static __always_inline void add_flow(struct __sk_buff *skb, const struct flow_key *key, const struct flow_tcp *tcp,
				     const struct flow_load *load, bool transmit)
{
	struct flow_value *value;
	struct flow_half *half;
	__u32 slot = 0, now;
	int unrecorded;
	void *active;

	active = bpf_map_lookup_elem(&flows_active, &slot);
	if (!active)
		return;
	if (flow_settings.sampling > 1 && !is_sampled(key)) {
		count_unrecorded(active, key->ifindex, transmit, FLOW_SAMPLED, load);
		return;
	}
	value = bpf_map_lookup_elem(active, key);
	if (!value) {
		unrecorded = make_flow(active, key, transmit);
		value = unrecorded ? NULL : bpf_map_lookup_elem(active, key);
		if (!value) {
			count_unrecorded(active, key->ifindex, transmit, unrecorded ? unrecorded - 1 : LOSS_MAP_ERROR,
					 load);
			return;
		}
	}
	half = transmit ? &value->transmit : &value->receive;
	if (transmit && tcp->flags && (!(half->packets & SOCKET_PACKETS_MASK) || (tcp->flags & TCP_FLAG_FIN)))
		read_socket(skb, key->local_port, value);
	__sync_fetch_and_add(&half->packets, load->packets);
	__sync_fetch_and_add(&half->bytes, load->bytes);
	__sync_fetch_and_add(&half->segments, load->segments);
	now = bpf_jiffies64();
	now = now ? now : 1;
	if (!half->first)
		half->first = now;
	half->last = now;
	if (tcp->flags)
		add_flags(value, half, tcp);
}

/* Of any packet, as packet.h has parsed it. */
static __noinline int count_flow_any(struct __sk_buff *skb, const struct packet *packet, const struct flow_load *load,
				     bool transmit)
{
	struct flow_key key = { .ifindex = skb->ifindex };
	struct flow_tcp tcp = {};
	__u32 slot = 0;
	void *active;

	if (read_any(skb, packet, transmit, &key, &tcp)) {
		add_flow(skb, &key, &tcp, load, transmit);
		return 0;
	}
	active = bpf_map_lookup_elem(&flows_active, &slot);
	if (active)
		count_unrecorded(active, key.ifindex, transmit, FLOW_NOT_IP, load);
	return 0;
}

/* Of a packet that stands for itself, with its headers where most have them. */
static __noinline int count_flow_plain(struct __sk_buff *skb, bool transmit)
{
	struct flow_load load = { .packets = 1, .bytes = skb->len, .segments = 1 };
	struct flow_key key = { .ifindex = skb->ifindex };
	struct flow_tcp tcp = {};
	struct packet packet;

	if (read_plain(skb, transmit, &key, &tcp)) {
		add_flow(skb, &key, &tcp, &load, transmit);
		return 0;
	}
	packet = parse_packet(skb);
	return count_flow_any(skb, &packet, &load, transmit);
}

#endif
