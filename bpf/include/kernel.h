/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few kernel structures the programs read, with just the fields used.
 * preserve_access_index makes libbpf look the offsets up in the running
 * kernel's BTF, so order and size here do not matter.
 */
#ifndef PODNET_KERNEL_H
#define PODNET_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device {
	__u64 features; /* netdev_features_t */
};

struct sk_buff {
	struct net_device *dev;
	unsigned char *head;
	unsigned int end; /* sk_buff_data_t: an offset from head on 64 bit */
	__u16 mac_header;
};

struct skb_shared_info {
	struct sk_buff *frag_list;
	unsigned int gso_type;
};

#pragma clang attribute pop

#endif
