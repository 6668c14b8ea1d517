/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract with user space: what tcp_handshake.bpf.c counts. The same
 * types in C# are in exporter/Exporter/Signals/Handshakes/HandshakeContract.cs; a test
 * compares both through the BTF of the built object.
 */
#ifndef TCP_HANDSHAKE_H
#define TCP_HANDSHAKE_H

#include <linux/types.h>

#define HANDSHAKE_CLIENT 0 /* sent the SYN */
#define HANDSHAKE_SERVER 1 /* answered it */
#define HANDSHAKE_ROLES	 2

/* In place of a role: a SYN that was redirected to its own namespace, which does not count. */
#define HANDSHAKE_REDIRECTED 2

/* Why a handshake failed: by the error that its socket got. */
#define HANDSHAKE_FAILURE_REFUSED	   0
#define HANDSHAKE_FAILURE_RESET		   1
#define HANDSHAKE_FAILURE_TIMED_OUT	   2
#define HANDSHAKE_FAILURE_HOST_UNREACHABLE 3
#define HANDSHAKE_FAILURE_NET_UNREACHABLE  4
#define HANDSHAKE_FAILURE_ABORTED	   5 /* given up by its own side */
#define HANDSHAKE_FAILURE_OTHER		   6
#define HANDSHAKE_FAILURE_HALF_OPEN	   7 /* the client reset it instead of completing it */
#define HANDSHAKE_FAILURES		   8

/* Durations up to each of at most 31 bounds, and one range above. */
#define HANDSHAKE_DURATIONS 32

/* 2.3 MiB for both maps of the pair; user space sets what Bpf:MaxInterfaces says. */
#define HANDSHAKE_MAX_NETWORKS 1024

/* 1.8 MiB; user space sets what Handshake:MaxRetransmitting says. */
#define HANDSHAKE_MAX_LATE 16384

/* Why a handshake is in none of the values. */
#define HANDSHAKE_LOSS_MAP_FULL	 0 /* as LOSS_MAP_*: its network's value could not be made */
#define HANDSHAKE_LOSS_MAP_BUSY	 1
#define HANDSHAKE_LOSS_MAP_ERROR 2
#define HANDSHAKE_LOSS_LATE_FULL 3 /* sent again, and no room to remember since when */
#define HANDSHAKE_LOSS_UNTIMED	 4 /* completed, and the kernel does not say since when */
#define HANDSHAKE_LOSSES	 5

/* Loopback connections that were seen, which do not count: they show whether a
hook works. */
#define HANDSHAKE_STEP_CONNECTED 0
#define HANDSHAKE_STEP_ACCEPTED	 1
#define HANDSHAKE_STEP_FAILED	 2
#define HANDSHAKE_STEPS		 3

/* A network namespace: its cookie, which never comes back; before Linux 5.12 its inode number, which may. */
struct handshake_key {
	__u64 netns;
};

/* Handshakes whose duration falls into one range, and the sum of their durations. */
struct handshake_duration {
	__u64 handshakes;
	__u64 nanoseconds;
};

struct handshake_role {
	struct handshake_duration durations[HANDSHAKE_DURATIONS];
	__u64 failures[HANDSHAKE_FAILURES];
	__u64 retransmits; /* of the SYN, or of the SYN-ACK */
};

struct handshake_value {
	struct handshake_role client;
	struct handshake_role server;
};

/* IPv6, or IPv4 mapped into it; in network order. */
struct handshake_address {
	__u32 words[4];
};

/* The ends of a connection, as one of them sees it. */
struct handshake_flow {
	__u64 netns;
	struct handshake_address local;
	struct handshake_address remote;
	__u32 local_port;
	__u32 remote_port;
};

/* A handshake whose SYN or SYN-ACK was, or will be, retransmitted. Times are CLOCK_MONOTONIC's, in nanoseconds. */
struct handshake_late {
	__u64 started;
	__u64 retransmitted; /* the last time; 0 where it has not been yet */
	__u64 role;
};

#endif
