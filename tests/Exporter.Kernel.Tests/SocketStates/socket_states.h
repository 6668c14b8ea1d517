/* SPDX-License-Identifier: GPL-2.0 */
/* The contract of a signal that only tests have: its twin in C# is SocketStatesValue. */
#ifndef SOCKET_STATES_H
#define SOCKET_STATES_H

#include <linux/types.h>

#define SOCKET_STATES_MAX_NETWORKS 256

struct socket_states_key {
	__u64 netns;
};

/* One field of each kind. */
struct socket_states_value {
	__u64 changes;
	__u64 largest_port;
	__u64 smallest_port;
	__u64 last_state;
	__u64 states; /* a bit for each */
};

#endif
