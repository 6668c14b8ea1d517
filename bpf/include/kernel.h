/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few kernel structures the programs read, with just the fields used.
 * preserve_access_index makes libbpf look the offsets up in the running
 * kernel's BTF, so order and size here do not matter.
 */
#ifndef PODNET_KERNEL_H
#define PODNET_KERNEL_H

#include <stdbool.h>
#include <linux/types.h>
#include <linux/in6.h>

/*
 * The registers a kprobe starts with, as the ABIs fix them
 * (arch/x86/include/uapi/asm/ptrace.h, arch/arm64/include/uapi/asm/ptrace.h).
 * Both are here, since a machine has the header of its own architecture only.
 */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	unsigned long rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
	__u64 sp;
	__u64 pc;
	__u64 pstate;
};
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device {
	__u64 features; /* netdev_features_t */
	int ifindex;
	unsigned int mtu;
	unsigned int gso_max_size;
	unsigned int gso_ipv4_max_size; /* since 6.3 */
	__u16 gso_max_segs;
};

struct rb_node {
	struct rb_node *rb_left;
};

struct rb_root {
	struct rb_node *rb_node;
};

struct sk_buff {
	struct rb_node rbnode; /* the first field, in a union */
	__u64 skb_mstamp_ns;
	struct net_device *dev;
	__be16 protocol; /* of the frame, or of its first tag */
	unsigned char *head;
	unsigned int end; /* sk_buff_data_t: an offset from head on 64 bit */
	__u16 mac_header;
	int skb_iif; /* the interface that it came in through */
	__u8 fclone : 2;
};

struct sk_buff_fclones {
	struct sk_buff skb1;
	struct sk_buff skb2;
};

struct skb_shared_info {
	struct sk_buff *frag_list;
	unsigned int gso_type;
};

struct dst_entry {
	struct net_device *dev;
};

struct ns_common {
	unsigned int inum;
};

struct xarray {
	void *xa_head;
};

struct xa_node {
	unsigned char shift;
	void *slots[64];
};

struct idr {
	struct xarray idr_rt;
	unsigned int idr_base;
};

struct list_head {
	struct list_head *next;
};

struct net {
	struct list_head list;
	struct idr netns_ids;
	struct ns_common ns;
	__u64 net_cookie;
	struct net_device *loopback_dev;
};

struct nsproxy {
	struct net *net_ns;
};

struct task_struct {
	struct nsproxy *nsproxy;
};

struct sock_common {
	__u64 skc_addrpair; /* skc_daddr, skc_rcv_saddr */
	__be16 skc_dport;
	__u16 skc_num; /* the local port, in the host's order */
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct {
		struct net *net;
	} skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
	struct sock *skc_listener; /* of a request */
};

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	int sk_err;
	struct dst_entry *sk_dst_cache;
	struct dst_entry *sk_rx_dst;
	int sk_rx_dst_ifindex; /* since 5.16 */
	struct rb_root tcp_rtx_queue;
	struct socket *sk_socket;
};

struct inet_sock {
	__be16 inet_sport;
	int rx_dst_ifindex; /* before 5.16 */
};

struct fastopen_queue {
	int max_qlen;
};

struct request_sock_queue {
	struct fastopen_queue fastopenq;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
};

struct tcp_options_received {
	__u16 mss_clamp; /* the other end's MSS, or TCP_MAXSEG's if that is less */
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	struct tcp_options_received rx_opt;
	__u16 advmss; /* its own MSS */
	__u32 write_seq;
	__u32 srtt_us;
	__u32 segs_out;
	__u32 total_retrans;
	__u32 retrans_stamp;
	__u8 tcp_usec_ts : 1; /* since 6.7 */
};

struct timer_list {
	unsigned long expires;
};

struct request_sock {
	struct sock_common __req_common;
	__u8 syncookie : 1;
	struct timer_list rsk_timer;
	struct sock *sk;
};

struct inet_request_sock {
	__u16 acked : 1; /* the ACK came while the backlog was full */
};

struct tcp_request_sock {
	__u64 snt_synack;
};

#pragma clang attribute pop

#endif
