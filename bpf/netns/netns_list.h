/* SPDX-License-Identifier: GPL-2.0 */
/* What user space and the program that looks through the machine's network namespaces share. */
#ifndef PODNET_NETNS_LIST_H
#define PODNET_NETNS_LIST_H

#include <linux/types.h>

/* More namespaces than that are not looked through. */
#define NETNS_LIST_MAX 4096

struct netns_search {
	__u64 cookie; /* asked for by its cookie, unless 0 */
	__u64 inode;  /* asked for by its inode number, unless 0 */
	__u32 found;
	__u32 complete; /* all namespaces were looked at */
};

#endif
