/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract with user space: the flows that pod_traffic.bpf.c counts where
 * flow_settings has them on. The same types in C# are in
 * exporter/Exporter/Signals/Flows/FlowContract.cs; a test compares both through
 * the BTF of the built object.
 *
 * Local is the pod's end, remote the other one. Each packet of an interface is
 * either in a flow or in the interface's row of its direction, both in one map,
 * so that they are read together and add up.
 */
#ifndef PODNET_FLOW_H
#define PODNET_FLOW_H

#include <linux/types.h>

/* 15 MiB of kernel memory for both maps of the pair; user space sets what its options say. */
#define FLOW_MAX_ENTRIES 34817

/* Why a packet is in no flow, beside the reasons of loss.h, which come first. */
#define FLOW_POD_FULL	3 /* the interface has as many flows as it may have */
#define FLOW_SAMPLED	4 /* its tuple is not in the sample */
#define FLOW_NOT_IP	5
#define FLOW_UNRECORDED 6

/* flow_key.family of rows that are no flows. */
#define FLOW_NO_FAMILY 0
#define FLOW_IPV4      4
#define FLOW_IPV6      6

/* A flag that was set in the last connection of the tuple, or in one before it alone. */
#define FLOW_FLAG_SET	  1
#define FLOW_FLAG_EARLIER 2

/* Above the code of an ICMP message: such a port is not a type. */
#define FLOW_ICMP_CODE 0x100

#define FLOW_TRANSMIT 0
#define FLOW_RECEIVE  1

/*
 * An IPv4 address has its four bytes first. Ports are in the packet's byte
 * order; of a protocol without ports, and of a later fragment, they are zero.
 * Of ICMP's requests and replies each end has the type that it sends as its
 * port, as Community ID has it; of its other messages the sender's is the type
 * and the other one the code, with FLOW_ICMP_CODE.
 *
 * The row of an interface has no family, and its direction for a protocol. The
 * row of the map has no interface either.
 */
struct flow_key {
	__u32 ifindex;
	__u8 local[16];
	__u8 remote[16];
	__be16 local_port;
	__be16 remote_port;
	__u8 family;
	__u8 protocol;
	__u16 reserved;
};

/*
 * What one end has sent. Packets, bytes and segments are as in struct
 * traffic_count. Times are the low half of jiffies, 0 where there is none.
 */
struct flow_half {
	__u64 packets;
	__u64 bytes;
	__u64 segments;
	__u8 flags[8]; /* of each TCP flag, from FIN up: FLOW_FLAG_SET or FLOW_FLAG_EARLIER; 0: never set */
	__u32 first;
	__u32 last;
	__u32 syns;
	__u32 resets;
	__u32 initial_seq; /* of the last SYN without ACK */
	__u32 connections; /* SYNs without ACK that had another sequence number than the one before */
};

/*
 * The halves begin 64 bytes apart, on cache lines of their own. A row is this or flow_rest, by its
 * key: words are added at the end of both, so that another version finds all words of both where
 * they were.
 */
struct flow_value {
	struct flow_half transmit;
	__u32 srtt_us;	  /* eight times the round-trip time, as struct tcp_sock has it; 0: unknown */
	__u32 rtt_min_us; /* the least that was read; 0: unknown */
	struct flow_half receive;
	__u32 retransmits; /* of the socket's life */
	__u8 has_socket;   /* whether retransmits was read */
	__u8 origin;	   /* the direction of the first packet */
	__u16 reserved;
};

struct flow_count {
	__u64 packets;
	__u64 bytes;
};

/* The row of an interface and a direction; the limits are in the map's own. */
struct flow_rest {
	struct flow_count unrecorded[FLOW_UNRECORDED];
	__u64 inserts;	 /* of the interface, in its row of transmit; of the map */
	__u32 max_flows; /* of the map */
	__u32 pod_max;	 /* of an interface */
	__u32 pod_share; /* of an interface, once half of the map is used */
	__u32 reserved;
	__u64 reserved2;
};

/* Constants of the programs. */
struct flow_settings {
	__u32 is_on;
	__u32 sampling; /* one in so many tuples */
};

#endif
