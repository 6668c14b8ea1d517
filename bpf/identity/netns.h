/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract with user space of netns.bpf.c. The same type in C# is in
 * exporter/Exporter.Bpf/NetnsFound.cs.
 */
#ifndef NETNS_H
#define NETNS_H

#include <linux/types.h>

struct netns_found {
	__u64 number; /* the namespace's cookie, or before Linux 5.12 its inode number; 0: there is none of this id */
	__u64 is_cookie; /* whether it never comes back */
};

#endif
