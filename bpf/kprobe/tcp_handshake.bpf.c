// SPDX-License-Identifier: GPL-2.0
/*
 * Times TCP handshakes for each network namespace: the client's from its SYN
 * to the SYN-ACK, the server's from its SYN-ACK, which follows the SYN at once,
 * to the ACK that completes it.
 *
 * The kernel takes these times itself, for its first estimate of the round
 * trip: when a connection is established, srtt_us is its handshake's duration
 * (in eighths of a microsecond) unless something had to be sent again. So most
 * handshakes are read off the socket at their end and need no memory of their
 * beginning. Only those that are sent again are remembered, from then on.
 *
 * Each step is one function. The kprobes and the tracepoints at the end are two
 * ways to be called for it, of which user space takes one; only a request that
 * is freed can be seen by kprobes alone.
 *
 * Values are shared by the CPUs: handshakes are rare beside packets, and their
 * values large. So additions are atomic, which also keeps a step in process
 * context and one in a softirq that interrupts it apart.
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "kernel.h"
#include "loss.h"
#include "maps.h"
#include "tcp_handshake.h"

#define AF_INET 2

/* include/net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT	2
#define TCP_SYN_RECV	3
#define TCP_CLOSE	7
#define TCP_LISTEN	10

/* include/net/net_namespace.h: lo is the first interface of every namespace. */
#define LOOPBACK_IFINDEX 1

/* include/linux/skbuff.h: this skb was allocated together with room for one clone. */
#define SKB_FCLONE_ORIG 1

/* No network interface carries longer packets; lo does, with 65536 bytes, unless its MTU was set to less. */
#define JUMBO_MTU     9216
#define IP_MAX_LENGTH 65535

/* IP and TCP headers without options: by these the MSS is less than the MTU. */
#define IPV4_HEADERS 40
#define IPV6_HEADERS 60

/* include/net/tcp.h, TCPOLEN_TSTAMP_ALIGNED: advmss is less by this once both ends agree on timestamps. */
#define TIMESTAMP_LENGTH 12

#define NSEC_PER_USEC 1000ULL
#define NSEC_PER_MSEC 1000000ULL

/* Upper bounds of the ranges of durations, in nanoseconds, ascending; unused ones are the greatest number. */
const volatile __u64 handshake_bounds[HANDSHAKE_DURATIONS - 1] SEC(".rodata.bounds") = {};

/* While programs take the place of others both are attached; those count whose number is in handshakes_current. */
const volatile __u64 handshake_generation[1] SEC(".rodata.generation") = {};

struct handshake_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HANDSHAKE_MAX_NETWORKS);
	__type(key, struct handshake_key);
	__type(value, struct handshake_value);
} handshakes_a SEC(".maps"), handshakes_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct handshake_map);
} handshakes_active SEC(".maps") = {
	.values = { &handshakes_a },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HANDSHAKE_MAX_LATE);
	__type(key, struct handshake_flow);
	__type(value, struct handshake_late);
} handshakes_late SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HANDSHAKE_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} handshake_losses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HANDSHAKE_STEPS);
	__type(key, __u32);
	__type(value, __u64);
} handshake_steps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} handshakes_current SEC(".maps");

/* Too large for the stack. */
static const volatile struct handshake_value no_handshakes;

/*
 * A tracepoint's program may follow the pointers that it gets; a kprobe's has
 * to have them read for it, which takes ten times as long. Which of them a step
 * runs in is a constant where it is inlined.
 */
#define load(typed, pointer, field) ((typed) ? (pointer)->field : BPF_CORE_READ(pointer, field))

static __always_inline void increment(void *per_cpu_array, __u32 index)
{
	__u64 *count = bpf_map_lookup_elem(per_cpu_array, &index);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Whether it is for this object's programs to count. */
static __always_inline bool is_current(void)
{
	__u32 slot = 0;
	__u64 *generation = bpf_map_lookup_elem(&handshakes_current, &slot);

	return generation && *generation == handshake_generation[0];
}

/* podnet_netns() of netns.bpf.c finds the same number for user space. */
static __always_inline __u64 netns_id(bool typed, const struct net *net)
{
	/* Before 5.12 it was an atomic64_t that is zero until somebody asks for it. */
	if (bpf_core_field_exists(net->net_cookie))
		return load(typed, net, net_cookie);
	return load(typed, net, ns.inum);
}

static __always_inline __u64 socket_netns(bool typed, const struct sock *sk)
{
	return netns_id(typed, load(typed, sk, __sk_common.skc_net.net));
}

static __always_inline struct handshake_address mapped(__be32 ipv4)
{
	struct handshake_address address = { .words = { 0, 0, bpf_htonl(0xffff), ipv4 } };

	return address;
}

static __always_inline struct handshake_flow flow_of(bool typed, const struct sock_common *sk, __u32 local_port)
{
	struct handshake_flow flow = {
		.netns = netns_id(typed, load(typed, sk, skc_net.net)),
		.local_port = local_port,
		.remote_port = bpf_ntohs(load(typed, sk, skc_dport)),
	};

	if (load(typed, sk, skc_family) == AF_INET) {
		__u64 pair = load(typed, sk, skc_addrpair);

		flow.local = mapped(pair >> 32);
		flow.remote = mapped(pair);
	} else if (bpf_core_field_exists(sk->skc_v6_daddr)) {
		bpf_core_read(&flow.local, sizeof(flow.local), &sk->skc_v6_rcv_saddr);
		bpf_core_read(&flow.remote, sizeof(flow.remote), &sk->skc_v6_daddr);
	}
	return flow;
}

static __always_inline struct handshake_flow socket_flow(bool typed, const struct sock *sk, const struct tcp_sock *tp)
{
	/* skc_num is zero by the time that the tracepoint reports TCP_CLOSE: the port has been given back. */
	return flow_of(typed, &sk->__sk_common, bpf_ntohs(load(typed, tp, inet_conn.icsk_inet.inet_sport)));
}

static __always_inline struct handshake_flow request_flow(const struct request_sock *req)
{
	return flow_of(false, &req->__req_common, BPF_CORE_READ(req, __req_common.skc_num));
}

static __always_inline bool is_loopback_address(const struct handshake_address *address)
{
	const __u32 *words = address->words;

	if (words[0] || words[1])
		return false;
	if (words[2] == bpf_htonl(0xffff))
		return (bpf_ntohl(words[3]) >> 24) == 127;
	return !words[2] && words[3] == bpf_htonl(1);
}

static __always_inline bool is_same_address(const struct handshake_address *a, const struct handshake_address *b)
{
	return a->words[3] == b->words[3] && a->words[2] == b->words[2] && a->words[1] == b->words[1] &&
	       a->words[0] == b->words[0];
}

/* Whether both ends are in one namespace, as far as the addresses show it. */
static __always_inline bool is_loopback_flow(const struct handshake_flow *flow)
{
	return is_loopback_address(&flow->remote) || is_loopback_address(&flow->local) ||
	       is_same_address(&flow->local, &flow->remote);
}

/*
 * Whether the packet that made a server's socket came in through lo, whatever
 * route its answers take: a transparent proxy in the same namespace has
 * connected from the address of its own client (tcp_v4_syn_recv_sock() and
 * inet_sk_rx_dst_set() note the interface).
 */
static __always_inline bool came_through_loopback(bool typed, const struct sock *sk, const struct tcp_sock *tp)
{
	if (!load(typed, sk, sk_rx_dst))
		return false;
	/* Before 5.16, and the stable kernels of that time, it was a field of struct inet_sock. */
	if (bpf_core_field_exists(sk->sk_rx_dst_ifindex))
		return load(typed, sk, sk_rx_dst_ifindex) == LOOPBACK_IFINDEX;
	return load(typed, tp, inet_conn.icsk_inet.rx_dst_ifindex) == LOOPBACK_IFINDEX;
}

/*
 * Whether a client's SYN-ACK was made for lo, although its own route leads
 * elsewhere: netfilter has redirected the SYN to a proxy in the same
 * namespace, as service meshes do it, and changed the route of the packet only.
 * At this moment the socket does not know yet where the SYN-ACK came in. But
 * the server has announced the MSS of the route that the SYN-ACK took, and the
 * MSS of lo is greater than any network's.
 */
static __always_inline bool answered_on_loopback(bool typed, const struct sock *sk, const struct tcp_sock *tp)
{
	__u32 mss = load(typed, tp, rx_opt.mss_clamp);
	const struct net_device *lo;
	__u32 mtu;

	if (mss <= load(typed, tp, advmss) + TIMESTAMP_LENGTH)
		return false;
	lo = typed ? sk->__sk_common.skc_net.net->loopback_dev
		   : BPF_CORE_READ(sk, __sk_common.skc_net.net, loopback_dev);
	mtu = load(typed, lo, mtu);
	if (mtu <= JUMBO_MTU)
		return false;
	/* ipv4_default_advmss(), ip6_default_advmss() */
	return mss == mtu - IPV6_HEADERS || mss >= (mtu < IP_MAX_LENGTH ? mtu : IP_MAX_LENGTH) - IPV4_HEADERS;
}

/*
 * Whether a client's SYN, still in its queue, has last gone out through lo,
 * although its own route leads elsewhere: then it was redirected, as above.
 * What goes out is a clone, which is allocated together with the SYN and passes
 * lo as it is; also when it is freed, it shows where it was.
 */
static __always_inline bool syn_on_loopback(const struct sock *sk)
{
	const struct sk_buff_fclones *syn = (const void *)BPF_CORE_READ(sk, tcp_rtx_queue.rb_node);
	const struct net_device *dev;

	if (!syn || BPF_CORE_READ_BITFIELD_PROBED(&syn->skb1, fclone) != SKB_FCLONE_ORIG)
		return false;
	if (BPF_CORE_READ(syn, skb2.skb_iif) == LOOPBACK_IFINDEX)
		return true;
	/* It waits for its turn behind lo. */
	dev = BPF_CORE_READ(syn, skb2.dev);
	return dev && BPF_CORE_READ(dev, ifindex) == LOOPBACK_IFINDEX;
}

/* Whether both ends are in one namespace: its own addresses, whose route is lo, and redirected connections. */
static __always_inline bool is_loopback(bool typed, const struct sock *sk, const struct tcp_sock *tp)
{
	const struct dst_entry *dst = load(typed, sk, sk_dst_cache);
	const struct net_device *dev = dst ? load(typed, dst, dev) : NULL;
	struct handshake_flow flow;

	if (dev)
		return load(typed, dev, ifindex) == LOOPBACK_IFINDEX || came_through_loopback(typed, sk, tp);
	/* A client that gets no answer gives up its route. */
	flow = socket_flow(typed, sk, tp);
	return is_loopback_flow(&flow);
}

static __always_inline struct handshake_role *find_role(__u64 netns, __u64 role)
{
	struct handshake_key key = { .netns = netns };
	struct handshake_value *value;
	int error = 0;

	value = find_or_make(&handshakes_active, &key, (const void *)&no_handshakes, &error);
	if (!value) {
		increment(&handshake_losses, loss_reason(error));
		return NULL;
	}
	return role == HANDSHAKE_CLIENT ? &value->client : &value->server;
}

static __always_inline void add_duration(struct handshake_role *role, __u64 nanoseconds)
{
	__u32 range = 0;

	while (range < HANDSHAKE_DURATIONS - 1 && nanoseconds > handshake_bounds[range])
		range++;
	__sync_fetch_and_add(&role->durations[range].handshakes, 1);
	__sync_fetch_and_add(&role->durations[range].nanoseconds, nanoseconds);
}

static __always_inline void add_failure(__u64 netns, __u64 role, __u32 reason)
{
	struct handshake_role *value = find_role(netns, role);

	if (value && reason < HANDSHAKE_FAILURES)
		__sync_fetch_and_add(&value->failures[reason], 1);
}

static __always_inline void add_retransmit(__u64 netns, __u64 role)
{
	struct handshake_role *value = find_role(netns, role);

	if (value)
		__sync_fetch_and_add(&value->retransmits, 1);
}

static __always_inline __u32 failure_reason(int error)
{
	switch (error) {
	case 0:
		return HANDSHAKE_FAILURE_ABORTED;
	case ECONNREFUSED:
		return HANDSHAKE_FAILURE_REFUSED;
	case ECONNRESET:
		return HANDSHAKE_FAILURE_RESET;
	case ETIMEDOUT:
		return HANDSHAKE_FAILURE_TIMED_OUT;
	case EHOSTUNREACH:
	case EHOSTDOWN:
		return HANDSHAKE_FAILURE_HOST_UNREACHABLE;
	case ENETUNREACH:
	case ENETDOWN:
		return HANDSHAKE_FAILURE_NET_UNREACHABLE;
	default:
		return HANDSHAKE_FAILURE_OTHER;
	}
}

static __always_inline void remember(const struct handshake_flow *flow, __u64 role, __u64 started, __u64 retransmitted)
{
	struct handshake_late late = { .started = started, .retransmitted = retransmitted, .role = role };

	if (bpf_map_update_elem(&handshakes_late, flow, &late, BPF_ANY))
		increment(&handshake_losses, HANDSHAKE_LOSS_LATE_FULL);
}

/*
 * Step: a connection is established. What the kernel measured is the duration,
 * unless something was sent again or the two ends' SYNs crossed: those were
 * remembered.
 */
static __always_inline void established(bool typed, const struct sock *sk, const struct tcp_sock *tp, int from)
{
	__u64 role = from == TCP_SYN_SENT ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER;
	__u32 retransmits = load(typed, tp, total_retrans);
	__u32 srtt = load(typed, tp, srtt_us);
	struct handshake_late *late = NULL;
	struct handshake_role *value;
	struct handshake_flow flow;
	__u64 nanoseconds;

	if (is_loopback(typed, sk, tp) || (role == HANDSHAKE_CLIENT && answered_on_loopback(typed, sk, tp))) {
		increment(&handshake_steps,
			  role == HANDSHAKE_CLIENT ? HANDSHAKE_STEP_CONNECTED : HANDSHAKE_STEP_ACCEPTED);
		/* A request's addresses alone do not always show that it is one. */
		if (retransmits) {
			flow = socket_flow(typed, sk, tp);
			bpf_map_delete_elem(&handshakes_late, &flow);
		}
		return;
	}
	if (!is_current())
		return;

	/*
	 * Until it is accepted a connection has no struct socket; one whose
	 * SYN crossed another has had it from the start.
	 */
	if (retransmits || (role == HANDSHAKE_SERVER && load(typed, sk, sk_socket))) {
		flow = socket_flow(typed, sk, tp);
		late = bpf_map_lookup_elem(&handshakes_late, &flow);
	}
	if (late) {
		nanoseconds = bpf_ktime_get_ns() - late->started;
		role = late->role;
		bpf_map_delete_elem(&handshakes_late, &flow);
		if (role == HANDSHAKE_REDIRECTED)
			return;
	} else if (!retransmits && srtt) {
		nanoseconds = (srtt >> 3) * NSEC_PER_USEC;
	} else if (retransmits || role == HANDSHAKE_SERVER) {
		increment(&handshake_losses, HANDSHAKE_LOSS_UNTIMED);
		return;
	} else {
		/* TCP_REPAIR puts a client into this state without a packet. */
		return;
	}
	value = find_role(socket_netns(typed, sk), role);
	if (value)
		add_duration(value, nanoseconds);
}

/* Step: a socket is closed before its connection was established. */
static __always_inline void failed(bool typed, const struct sock *sk, const struct tcp_sock *tp, int from)
{
	__u64 role = from == TCP_SYN_SENT ? HANDSHAKE_CLIENT : HANDSHAKE_SERVER;
	struct handshake_flow flow = socket_flow(typed, sk, tp);
	int error = load(typed, sk, sk_err);
	struct handshake_late *late;

	/* It did not come to a SYN: no port was free, or Fast Open waited for data. */
	if (role == HANDSHAKE_CLIENT && !load(typed, tp, segs_out))
		return;
	if (is_loopback(typed, sk, tp)) {
		increment(&handshake_steps, HANDSHAKE_STEP_FAILED);
		return;
	}
	if (!is_current())
		return;

	late = bpf_map_lookup_elem(&handshakes_late, &flow);
	if (late) {
		role = late->role;
		bpf_map_delete_elem(&handshakes_late, &flow);
	}
	if (role == HANDSHAKE_REDIRECTED || (role == HANDSHAKE_CLIENT && syn_on_loopback(sk)))
		return;
	/* Without an error the kernel closes what it made twice, when two CPUs got the same ACK. */
	if (role == HANDSHAKE_SERVER && !error)
		return;
	add_failure(flow.netns, role, failure_reason(error));
}

/*
 * Step: a client's SYN will be sent again, and has not been yet: two SYNs have
 * crossed, and it goes out as a SYN-ACK; or it got something else than the
 * SYN-ACK, from a connection that had its ports before, and goes out again some
 * milliseconds later (tcp_rcv_synsent_state_process()), too soon for a stamp in
 * milliseconds. It is alone in its queue, with the time when it was sent.
 */
static __always_inline int syn_unanswered(const struct sock *sk)
{
	struct handshake_flow flow;
	struct rb_node *first;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT || !is_current())
		return 0;
	first = BPF_CORE_READ(sk, tcp_rtx_queue.rb_node);
	flow = socket_flow(false, sk, (const void *)sk);
	if (first && !is_loopback_flow(&flow) && !bpf_map_lookup_elem(&handshakes_late, &flow))
		remember(&flow, HANDSHAKE_CLIENT, BPF_CORE_READ((struct sk_buff *)first, skb_mstamp_ns), 0);
	return 0;
}

/*
 * Step: a client's connection is reset, which takes the SYN out of its queue
 * before it is closed. If that was redirected, the network did not cause the
 * failure.
 */
static __always_inline int connection_reset(const struct sock *sk)
{
	struct handshake_flow flow;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT || !is_current() || !syn_on_loopback(sk))
		return 0;
	flow = socket_flow(false, sk, (const void *)sk);
	if (!is_loopback_flow(&flow))
		remember(&flow, HANDSHAKE_REDIRECTED, bpf_ktime_get_ns(), 0);
	return 0;
}

static __always_inline void state_changed(bool typed, const struct sock *sk, const struct tcp_sock *tp, int from,
					  int to)
{
	if (to == TCP_ESTABLISHED)
		established(typed, sk, tp, from);
	else if (to == TCP_CLOSE)
		failed(typed, sk, tp, from);
	else if (to == TCP_SYN_RECV)
		syn_unanswered(sk);
}

/* Most changes of state do not belong to a handshake. */
static __always_inline bool is_in_handshake(int from)
{
	return from == TCP_SYN_SENT || from == TCP_SYN_RECV;
}

/*
 * When the first SYN was sent: retrans_stamp, which tcp_connect() sets, in
 * units of the connection's timestamps, milliseconds unless the route says
 * microseconds.
 */
static __always_inline __u64 syn_sent_at(const struct tcp_sock *tp)
{
	__u64 unit = NSEC_PER_MSEC;
	__u64 now;

	if (bpf_core_field_exists(tp->tcp_usec_ts) && BPF_CORE_READ_BITFIELD_PROBED(tp, tcp_usec_ts))
		unit = NSEC_PER_USEC;
	now = bpf_ktime_get_ns() / unit;
	/* Half a unit: the stamp is rounded down. */
	return (now - (__u32)((__u32)now - BPF_CORE_READ(tp, retrans_stamp))) * unit + unit / 2;
}

/* Step: a segment is sent again. */
static __always_inline int segment_resent(const struct sock *sk)
{
	__u64 role = HANDSHAKE_CLIENT;
	struct handshake_late *late;
	struct handshake_flow flow;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT || !is_current())
		return 0;
	flow = socket_flow(false, sk, (const void *)sk);
	if (is_loopback(false, sk, (const void *)sk))
		return 0;
	if (syn_on_loopback(sk))
		role = HANDSHAKE_REDIRECTED;
	else
		add_retransmit(flow.netns, HANDSHAKE_CLIENT);
	late = bpf_map_lookup_elem(&handshakes_late, &flow);
	remember(&flow, role, late ? late->started : syn_sent_at((const void *)sk), bpf_ktime_get_ns());
	return 0;
}

/* Step: a SYN-ACK is sent again. */
static __always_inline int synack_resent(const struct request_sock *req)
{
	struct handshake_flow flow = request_flow(req);

	if (is_loopback_flow(&flow) || !is_current())
		return 0;
	add_retransmit(flow.netns, HANDSHAKE_SERVER);
	remember(&flow, HANDSHAKE_SERVER,
		 BPF_CORE_READ((const struct tcp_request_sock *)req, snt_synack) * NSEC_PER_USEC, bpf_ktime_get_ns());
	return 0;
}

/*
 * Fast Open has no request that waits: there is a socket from the start, and
 * its state is seen. By the time that its request is freed only the listener
 * distinguishes it from others.
 */
static __always_inline bool may_be_fast_open(const struct request_sock *req)
{
	const struct inet_connection_sock *listener = (const void *)BPF_CORE_READ(req, __req_common.skc_listener);

	return BPF_CORE_READ(listener, icsk_accept_queue.fastopenq.max_qlen);
}

/*
 * Step: a request is freed. It failed if it was answered and no connection came
 * of it. A SYN cookie is not a request that waits.
 */
static __always_inline int request_freed(const struct request_sock *req)
{
	struct handshake_flow flow;
	__u32 reason;

	if (BPF_CORE_READ(req, sk) || !BPF_CORE_READ((const struct tcp_request_sock *)req, snt_synack) ||
	    BPF_CORE_READ_BITFIELD_PROBED(req, syncookie) || may_be_fast_open(req))
		return 0;
	flow = request_flow(req);
	if (is_loopback_flow(&flow) || !is_current())
		return 0;
	bpf_map_delete_elem(&handshakes_late, &flow);
	/*
	 * The timer that sends the SYN-ACK again gives up in the end; a reset takes the request away before it is due.
	 * Load balancers that check a port in this way never send the ACK; one that came found the backlog full.
	 */
	if (BPF_CORE_READ(req, __req_common.skc_listener, __sk_common.skc_state) != TCP_LISTEN)
		reason = HANDSHAKE_FAILURE_ABORTED;
	else if ((long)(bpf_jiffies64() - BPF_CORE_READ(req, rsk_timer.expires)) >= 0)
		reason = HANDSHAKE_FAILURE_TIMED_OUT;
	else if (BPF_CORE_READ_BITFIELD_PROBED((const struct inet_request_sock *)req, acked))
		reason = HANDSHAKE_FAILURE_RESET;
	else
		reason = HANDSHAKE_FAILURE_HALF_OPEN;
	add_failure(flow.netns, HANDSHAKE_SERVER, reason);
	return 0;
}

SEC("kprobe/tcp_set_state")
int BPF_KPROBE(podnet_kp_state, struct sock *sk, int to)
{
	int from = BPF_CORE_READ(sk, __sk_common.skc_state);

	if (is_in_handshake(from) && BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP)
		state_changed(false, sk, (const void *)sk, from, to);
	return 0;
}

/* Before it goes out: the segment still has the time when it was sent first. */
SEC("kprobe/tcp_retransmit_skb")
int BPF_KPROBE(podnet_kp_syn, struct sock *sk)
{
	syn_unanswered(sk);
	return segment_resent(sk);
}

SEC("kprobe/tcp_reset")
int BPF_KPROBE(podnet_kp_rst, struct sock *sk)
{
	return connection_reset(sk);
}

/* rtx_syn_ack of tcp_request_sock_ops and tcp6_request_sock_ops */
SEC("kprobe/tcp_rtx_synack")
int BPF_KPROBE(podnet_kp_synack, struct sock *sk, struct request_sock *req)
{
	return synack_resent(req);
}

/* destructor of the same */
SEC("kprobe/tcp_v4_reqsk_destructor")
int BPF_KPROBE(podnet_kp_free4, struct request_sock *req)
{
	return request_freed(req);
}

SEC("kprobe/tcp_v6_reqsk_destructor")
int BPF_KPROBE(podnet_kp_free6, struct request_sock *req)
{
	return request_freed(req);
}

/* A change of a socket's state that has been looked at. */
struct change {
	__u64 sk;
	__u32 write_seq; /* another one for every connection that a socket is used for */
	__u16 from;
	__u16 to;
};

#define CHANGES_MAX 256

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CHANGES_MAX);
	__type(key, __u32);
	__type(value, struct change);
} handshake_changes SEC(".maps");

/*
 * The kernel skips a program while this CPU is in it already, as when
 * connect() has just changed a state and a softirq comes that changes another
 * (kernel/trace/bpf_trace.c, __bpf_trace_run(), since 6.1). Where user space
 * sees that happen it attaches a second one: a softirq can have come upon only
 * one of them. The second leaves alone what the first has just looked at on
 * this CPU. It would not find that again, and count it twice, if a softirq
 * came between the two and had a change for the same slot of the table.
 */
static __always_inline int traced_state(const struct sock *sk, int from, int to, bool second)
{
	const struct tcp_sock *tp;
	struct change *last;
	struct change now;
	__u32 slot;

	if (!is_in_handshake(from))
		return 0;
	/* NULL for SCTP and MPTCP, which use the same states and the same tracepoint. */
	tp = bpf_skc_to_tcp_sock((void *)sk);
	if (!tp)
		return 0;
	now = (struct change){ .sk = (__u64)sk, .write_seq = tp->write_seq, .from = from, .to = to };
	slot = now.write_seq % CHANGES_MAX;
	last = bpf_map_lookup_elem(&handshake_changes, &slot);
	if (!last)
		return 0;
	if (second && last->sk == now.sk && last->write_seq == now.write_seq && last->from == from && last->to == to)
		return 0;
	if (!second)
		*last = now;
	state_changed(true, sk, tp, from, to);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(podnet_tp_state, const struct sock *sk, const int from, const int to)
{
	return traced_state(sk, from, to, false);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(podnet_tp_state2, const struct sock *sk, const int from, const int to)
{
	return traced_state(sk, from, to, true);
}

/* Newer kernels also report segments that could not be sent. */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(podnet_tp_syn, const struct sock *sk)
{
	return BPF_CORE_READ((const struct tcp_sock *)sk, total_retrans) ? segment_resent(sk) : 0;
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(podnet_tp_reset, const struct sock *sk)
{
	/* The kernel also resets what belongs to no socket. */
	return sk ? syn_unanswered(sk) : 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(podnet_tp_rst, const struct sock *sk)
{
	return connection_reset(sk);
}

SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(podnet_tp_synack, const struct sock *sk, const struct request_sock *req)
{
	return synack_resent(req);
}

char _license[] SEC("license") = "GPL";
