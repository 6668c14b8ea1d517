// SPDX-License-Identifier: GPL-2.0
/* What the packet path is measured against: nothing at all, and one bare increment. */
#include <linux/bpf.h>
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

char _license[] SEC("license") = "GPL";
