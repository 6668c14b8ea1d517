// SPDX-License-Identifier: GPL-2.0
/*
 * Says whether a network namespace exists: looks through the list of all
 * network namespaces of the machine (net/core/net_namespace.c,
 * net_namespace_list). Never attached: user space runs it.
 *
 * A program that is run so holds the RCU read lock, and a namespace is freed
 * only after a grace period that begins when it has left the list. So the walk
 * does not leave the list, and what it does not see is not there.
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "kernel.h"
#include "netns_list.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct netns_search);
} netns_searched SEC(".maps");

/*
 * 0 or 1, computed without a jump: each jump in the loop would be a path of its
 * own for the verifier.
 */
static __always_inline __u64 is_zero(__u64 value)
{
	value |= -value;
	/* Keeps clang from seeing that a comparison would do the same. */
	barrier_var(value);
	return value >> 63 ^ 1;
}

SEC("raw_tp")
int podnet_find_netns(void *ctx)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();
	const struct net *own = BPF_CORE_READ(task, nsproxy, net_ns);
	__u64 first = (__u64)__builtin_preserve_access_index(&own->list);
	__u64 entry = first, found = 0, complete = 0;
	__u64 number, wanted, number_at, mask;
	struct netns_search *search;
	__u32 slot = 0;

	search = bpf_map_lookup_elem(&netns_searched, &slot);
	if (!search)
		return 0;
	if (search->cookie) {
		if (!bpf_core_field_exists(own->net_cookie))
			return 0;
		wanted = search->cookie;
		number_at = bpf_core_field_offset(own->net_cookie);
		mask = -1ULL;
	} else {
		wanted = search->inode;
		number_at = bpf_core_field_offset(own->ns.inum);
		mask = (__u32)-1;
	}
	number_at -= bpf_core_field_offset(own->list);
	/*
	 * The list is a ring. Its head is in no namespace: the number read there is
	 * another variable of the kernel, and if that happens to be the wanted
	 * number, something is kept that could have been removed.
	 */
	for (int i = 0; i < NETNS_LIST_MAX; i++) {
		bpf_probe_read_kernel(&number, sizeof(number), (const void *)(entry + number_at));
		found |= is_zero((number ^ wanted) & mask);
		bpf_probe_read_kernel(&entry, sizeof(entry),
				      (const void *)(entry + bpf_core_field_offset(struct list_head, next)));
		complete |= is_zero(entry ^ first);
	}
	search->found = found;
	search->complete = complete;
	return 0;
}

char _license[] SEC("license") = "GPL";
