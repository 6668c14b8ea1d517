/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract with user space: what pod_traffic.bpf.c counts. The same types
 * in C# are in exporter/Exporter/Signals/Traffic/TrafficContract.cs; a test compares
 * both through the BTF of the built object.
 *
 * Directions are the pod's: what it transmits and what it receives.
 */
#ifndef POD_TRAFFIC_H
#define POD_TRAFFIC_H

#include <linux/types.h>

#define TRAFFIC_TCP	   0
#define TRAFFIC_UDP	   1
#define TRAFFIC_ICMP	   2
#define TRAFFIC_SCTP	   3
#define TRAFFIC_OTHER	   4
#define TRAFFIC_TRANSPORTS 5

/*
 * Upper bounds of a segment's length in bytes, Ethernet header included: the
 * minimal frame, four doublings, a full Ethernet frame with one VLAN tag, a
 * jumbo frame. Longer frames fall into the eighth bucket.
 */
#define TRAFFIC_SIZE_BOUNDS                                                                                            \
	{                                                                                                              \
		64, 128, 256, 512, 1024, 1518, 9018                                                                    \
	}
#define TRAFFIC_SIZES 8

/* 1 MiB a CPU for both maps of the pair; user space sets what Bpf:MaxInterfaces says. */
#define TRAFFIC_MAX_INTERFACES 1024

struct traffic_key {
	__u32 ifindex;
};

/* Packets and bytes as the interface's own counters count them, segments as the wire would carry them. */
struct traffic_count {
	__u64 packets;
	__u64 bytes;
	__u64 segments;
};

/* Segments of one range of lengths, and the sum of their lengths. */
struct traffic_size {
	__u64 segments;
	__u64 bytes;
};

struct traffic_direction {
	struct traffic_count transports[TRAFFIC_TRANSPORTS];
	struct traffic_size sizes[TRAFFIC_SIZES];
};

struct traffic_value {
	struct traffic_direction transmit;
	struct traffic_direction receive;
};

#endif
