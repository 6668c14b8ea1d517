// SPDX-License-Identifier: GPL-2.0
/* Somebody else's programs: two count and let the chain go on, one counts and ends it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} foreign_packets SEC(".maps");

static __always_inline int count(int verdict)
{
	__u32 key = 0;
	__u64 *packets = bpf_map_lookup_elem(&foreign_packets, &key);

	if (packets)
		(*packets)++;
	return verdict;
}

SEC("tc")
int foreign_next(struct __sk_buff *skb)
{
	return count(TC_ACT_UNSPEC);
}

/* tcx refuses the same program twice on one hook. */
SEC("tc")
int foreign_head(struct __sk_buff *skb)
{
	return count(TC_ACT_UNSPEC);
}

SEC("tc")
int foreign_stop(struct __sk_buff *skb)
{
	return count(TC_ACT_OK);
}

char _license[] SEC("license") = "GPL";
