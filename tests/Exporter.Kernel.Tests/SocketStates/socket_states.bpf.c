// SPDX-License-Identifier: GPL-2.0
/* Counts the changes of TCP sockets' states for each network namespace. */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "maps.h"
#include "socket_states.h"

struct socket_states_map {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, SOCKET_STATES_MAX_NETWORKS);
	__type(key, struct socket_states_key);
	__type(value, struct socket_states_value);
} socket_states_a SEC(".maps"), socket_states_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct socket_states_map);
} socket_states_active SEC(".maps") = {
	.values = { &socket_states_a },
};

static const volatile struct socket_states_value no_states;

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(podnet_test_state, const struct sock *sk, const int from, const int to)
{
	const struct net *net = sk->__sk_common.skc_net.net;
	struct socket_states_key key = { .netns = bpf_core_field_exists(net->net_cookie) ? net->net_cookie
											 : net->ns.inum };
	struct socket_states_value *value;
	__u64 port = sk->__sk_common.skc_num;
	int error = 0;

	value = find_or_make(&socket_states_active, &key, (const void *)&no_states, &error);
	if (!value)
		return 0;
	value->changes++;
	if (port > value->largest_port)
		value->largest_port = port;
	if (port && (!value->smallest_port || port < value->smallest_port))
		value->smallest_port = port;
	value->last_state = to;
	value->states |= 1ULL << (to & 63);
	return 0;
}

char _license[] SEC("license") = "GPL";
