// SPDX-License-Identifier: GPL-2.0
/*
 * Says which network namespace an id of rtnetlink stands for, by a number that
 * means the same in every namespace and, from Linux 5.12 on, never comes back.
 * Whatever is counted by network namespace needs it to find its owner.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "netns.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct netns_found);
} netns_found SEC(".maps");

/* lib/xarray.h: 64 entries a node, and an entry that is a node has 10 in its last bits. */
#define XA_CHUNK_MASK 63
#define XA_NODE	      2
#define XA_TYPE_MASK  3

/* Enough for ids up to 2^24. */
#define XA_LEVELS 4

/* As get_net_ns_by_id() does (net/core/net_namespace.c, lib/radix-tree.c). */
static __always_inline const struct net *find_network(const struct net *own, __u64 id)
{
	unsigned long entry = (unsigned long)BPF_CORE_READ(own, netns_ids.idr_rt.xa_head);
	const struct xa_node *node;
	unsigned char shift;

	id -= BPF_CORE_READ(own, netns_ids.idr_base);
	/* A tree whose only entry is id 0's has no node. */
	if ((entry & XA_TYPE_MASK) != XA_NODE)
		return id ? NULL : (const void *)entry;
	for (int level = 0; level < XA_LEVELS; level++) {
		if ((entry & XA_TYPE_MASK) != XA_NODE)
			return NULL;
		node = (const void *)(entry - XA_NODE);
		shift = BPF_CORE_READ(node, shift);
		if (level == 0 && id >> shift > XA_CHUNK_MASK)
			return NULL;
		if (bpf_core_read(&entry, sizeof(entry), &node->slots[(id >> shift) & XA_CHUNK_MASK]))
			return NULL;
		if (!shift)
			return (const void *)entry;
	}
	return NULL;
}

/*
 * Never attached: user space runs it. A negative id asks for the namespace of
 * the calling task.
 */
SEC("raw_tp")
int podnet_netns(struct bpf_raw_tracepoint_args *ctx)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	const struct net *net = BPF_CORE_READ(task, nsproxy, net_ns);
	struct netns_found found = {};
	__s64 id = ctx->args[0];
	__u32 slot = 0;

	if (id >= 0)
		net = find_network(net, id);
	/* As network_id() of tcp_handshake.bpf.c: rows are found by this number. */
	found.is_cookie = bpf_core_field_exists(net->net_cookie);
	if (net)
		found.number = bpf_core_field_exists(net->net_cookie) ? BPF_CORE_READ(net, net_cookie)
								      : BPF_CORE_READ(net, ns.inum);
	bpf_map_update_elem(&netns_found, &slot, &found, BPF_ANY);
	return 0;
}

char _license[] SEC("license") = "GPL";
