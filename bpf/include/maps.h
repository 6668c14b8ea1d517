/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two maps behind one slot: one is counted into while user space reads and
 * clears the other. Replacing the slot's map makes the kernel wait for an RCU
 * grace period, after which no program holds the replaced one any more.
 */
#ifndef PODNET_MAPS_H
#define PODNET_MAPS_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_helpers.h>

/*
 * The key's value in a map, made from zero when the key's first event after a
 * drain comes; NULL with an error where that fails. The error is an int: before
 * Linux 6.4 the kernel's function returns one, and leaves the upper half of the
 * register undefined.
 */
static __always_inline void *find_or_make_in(void *active, const void *key, const void *zero, int *error)
{
	void *value;

	value = bpf_map_lookup_elem(active, key);
	if (value)
		return value;

	/* EEXIST: another CPU was first. Its entry is ours as well. */
	*error = bpf_map_update_elem(active, key, zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(active, key);
}

/* The same in the map behind the slot. */
static __always_inline void *find_or_make(void *slot_map, const void *key, const void *zero, int *error)
{
	__u32 slot = 0;
	void *active;

	active = bpf_map_lookup_elem(slot_map, &slot);
	if (!active) {
		*error = -ENOENT;
		return NULL;
	}
	return find_or_make_in(active, key, zero, error);
}

#endif
