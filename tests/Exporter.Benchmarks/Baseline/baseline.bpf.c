// SPDX-License-Identifier: GPL-2.0
/* What the packet path is measured against: nothing at all, one bare increment, and a bare flow. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

SEC("tc")
int empty(struct __sk_buff *skb)
{
	return -1;
}

SEC("xdp")
int empty_xdp(struct xdp_md *xdp)
{
	return XDP_PASS;
}

SEC("tc")
int bare_increment(struct __sk_buff *skb)
{
	__u32 key = skb->ifindex;
	__u64 one = 1, *value;

	value = bpf_map_lookup_elem(&packets, &key);
	if (value)
		(*value)++;
	else
		bpf_map_update_elem(&packets, &key, &one, BPF_NOEXIST);
	return -1;
}

/* As large as bpf/tc/flow.h has them. */
struct flow_key {
	__u32 ifindex;
	__u8 local[16];
	__u8 remote[16];
	__u32 ports;
	__u32 rest;
};

struct flow_value {
	__u64 packets;
	__u64 bytes;
	__u64 segments;
	__u64 others[13];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 34817);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

/* The look-ups and the additions of a packet with flows, and nothing else: TCP over IPv4 alone. */
SEC("tc")
int bare_flow(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct flow_key key = { .ifindex = skb->ifindex };
	struct iphdr *ip = data + ETH_HLEN;
	struct tcphdr *tcp = (void *)(ip + 1);
	struct flow_value *value;

	bare_increment(skb);
	if ((void *)(tcp + 1) > end)
		return -1;
	*(__u32 *)key.local = ip->saddr;
	*(__u32 *)key.remote = ip->daddr;
	key.ports = *(__u32 *)tcp;
	value = bpf_map_lookup_elem(&flows, &key);
	if (!value) {
		struct flow_value none = {};

		bpf_map_update_elem(&flows, &key, &none, BPF_NOEXIST);
		return -1;
	}
	__sync_fetch_and_add(&value->packets, 1);
	__sync_fetch_and_add(&value->bytes, skb->len);
	__sync_fetch_and_add(&value->segments, 1);
	return -1;
}

#define DRIVEN_FLOWS 10000

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} driven SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} turns SEC(".maps");

/*
 * Gives each packet the source port of one of many flows in turn, and continues
 * with the program that is measured, whose number is the packet's other port.
 */
SEC("tc")
int drive(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct tcphdr *tcp = data + ETH_HLEN + sizeof(struct iphdr);
	__u32 slot = 0;
	__u64 *turn = bpf_map_lookup_elem(&turns, &slot);

	if (!turn || (void *)(tcp + 1) > end)
		return -1;
	tcp->source = (__u16)(++*turn % DRIVEN_FLOWS);
	bpf_tail_call(skb, &driven, __builtin_bswap16(tcp->dest));
	return -1;
}

char _license[] SEC("license") = "GPL";
