/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between uplink.bpf.c and user space. Its twin in C# is
 * Signals/Uplinks/UplinkContract.cs; tests compare the two.
 */
#ifndef PODNET_UPLINK_H
#define PODNET_UPLINK_H

#include <linux/types.h>

/* Interfaces that can be counted at once. */
#define UPLINK_SLOTS 8

#define UPLINK_NAME_LEN 16 /* IFNAMSIZ */

/* Every frame is in one class. */
enum uplink_class {
	UPLINK_TCP_SYN,
	UPLINK_TCP_SYN_ACK,
	UPLINK_TCP_RST,
	UPLINK_TCP_FIN,
	UPLINK_TCP_OTHER,
	UPLINK_TCP_ILLEGAL, /* no flag, FIN with PSH and URG and no ACK, or SYN with FIN */
	UPLINK_UDP,
	UPLINK_UDP_REFLECTION, /* from the port of a service that amplifies */
	UPLINK_ICMP,
	UPLINK_FRAGMENT, /* also the first one */
	UPLINK_OTHER_IP, /* also IP whose headers are not whole */
	UPLINK_ARP,
	UPLINK_OTHER,
	UPLINK_CLASSES,
};

/* Upper bounds of ranges of frame lengths, inclusive; the last range has none. As TRAFFIC_SIZE_BOUNDS. */
#define UPLINK_SIZES 8
#define UPLINK_SIZE_BOUNDS                                                                                             \
	{                                                                                                              \
		64, 128, 256, 512, 1024, 1518, 9018                                                                    \
	}

/* Of frames as they are on the wire, from the Ethernet header on, without preamble and checksum. */
struct uplink_count {
	__u64 packets;
	__u64 bytes;
};

/* What one slot's interface has sent, or received. */
struct uplink_value {
	struct uplink_count classes[UPLINK_CLASSES];
	struct uplink_count sizes[UPLINK_SIZES];
};

/* A value's index is twice its slot, and one more for what was sent. */
#define UPLINK_VALUES (2 * UPLINK_SLOTS)

/* Which interface a slot counts, beside its index: so that the next process knows it again. */
struct uplink_identity {
	char name[UPLINK_NAME_LEN];
	__u64 permanent_address; /* 0 where the interface has none */
};

/* Written by user space. */
struct uplink_slots {
	__u32 ifindex[UPLINK_SLOTS]; /* 0: free */
	__u32 by_xdp[UPLINK_SLOTS];  /* 1: XDP counts what arrives, else TC does, whichever programs are attached */
	struct uplink_identity identity[UPLINK_SLOTS];
};

#endif
