// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the frames of the node's own interfaces in disjoint classes: what
 * arrives by XDP, before the stack has it, or by TC ingress; what leaves by TC
 * egress.
 *
 * The programs count and never decide: XDP_PASS and TCX_NEXT always. They
 * write nothing to a frame, its metadata or its length.
 *
 * Counters only grow, and user space remembers what it has read: so there is
 * no map to exchange, and another program that takes this one's place counts
 * on in the same values. Plain additions are enough, since every hook runs
 * with bottom halves disabled and each direction has values of its own. (A
 * PREEMPT_RT kernel without the per-CPU lock of its softirqs would need atomic
 * additions.)
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "uplink.h"

#define TCX_NEXT (-1)

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define IP_MF		0x2000
#define IP6_MORE_OFFSET 0xfff9

/* No header begins further back; the verifier wants a bound. */
#define OFFSET_MAX 0x3fff

/* include/linux/skbuff.h: segments of unequal size, as SCTP makes them */
#define GSO_BY_FRAGS 0xffff

/* The 14th byte of a TCP header. */
#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20

#define TCP_FLAGS_OFFSET 13

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, UPLINK_VALUES);
	__type(key, __u32);
	__type(value, struct uplink_value);
} uplinks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct uplink_slots);
} uplink_slots SEC(".maps");

/* How a program reaches its frame. A constant in every caller, so that the compiler leaves one way. */
enum source {
	FROM_XDP,	/* linear */
	FROM_XDP_FRAGS, /* Linux 5.18 */
	FROM_SKB,
};

/* One frame, or those that an skb stands for. */
struct load {
	__u32 packets;
	__u32 segment_len; /* of every one but the last */
	__u32 last_len;
	__u64 bytes;
};

/* The values of a direction, where this program is the one to count it. */
static __always_inline struct uplink_value *value_of(__u32 ifindex, bool sent, bool by_xdp)
{
	struct uplink_slots *slots;
	__u32 key = 0;

	slots = bpf_map_lookup_elem(&uplink_slots, &key);
	if (!slots)
		return NULL;
#pragma unroll
	for (__u32 slot = 0; slot < UPLINK_SLOTS; slot++) {
		if (slots->ifindex[slot] == ifindex) {
			if (!sent && slots->by_xdp[slot] != by_xdp)
				return NULL;
			key = slot * 2 + sent;
			return bpf_map_lookup_elem(&uplinks, &key);
		}
	}
	return NULL;
}

/* A pointer to len bytes of the frame: in place, or to the copy where they are not linear. NULL where the frame is
 * shorter. */
static __always_inline const void *read_header(void *ctx, enum source source, __u32 offset, void *copy, __u32 len)
{
	struct __sk_buff *skb = ctx;
	struct xdp_md *xdp = ctx;
	const void *data = (void *)(long)(source == FROM_SKB ? skb->data : xdp->data);
	const void *end = (void *)(long)(source == FROM_SKB ? skb->data_end : xdp->data_end);

	if (offset > OFFSET_MAX)
		return NULL;
	if (data + offset + len <= end)
		return data + offset;
	if (source == FROM_SKB)
		return bpf_skb_load_bytes(skb, offset, copy, len) ? NULL : copy;
	if (source == FROM_XDP_FRAGS)
		return bpf_xdp_load_bytes(xdp, offset, copy, len) ? NULL : copy;
	return NULL;
}

static __always_inline enum uplink_class tcp_class(__u8 flags)
{
	if (likely((flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK))
		return UPLINK_TCP_OTHER;
	if (!(flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_ACK | TCP_URG)) ||
	    (flags & (TCP_FIN | TCP_PSH | TCP_URG | TCP_ACK)) == (TCP_FIN | TCP_PSH | TCP_URG) ||
	    (flags & (TCP_SYN | TCP_FIN)) == (TCP_SYN | TCP_FIN))
		return UPLINK_TCP_ILLEGAL;
	/* A receiver looks at RST first. */
	if (flags & TCP_RST)
		return UPLINK_TCP_RST;
	if (flags & TCP_SYN)
		return flags & TCP_ACK ? UPLINK_TCP_SYN_ACK : UPLINK_TCP_SYN;
	return flags & TCP_FIN ? UPLINK_TCP_FIN : UPLINK_TCP_OTHER;
}

/*
 * Services whose answers are larger than their questions (CISA's alert
 * TA14-017A, and what was seen since). DNS and NTP answer everybody from here:
 * a rate means something beside its own past only.
 */
static __always_inline bool amplifies(__be16 port)
{
	switch (bpf_ntohs(port)) {
	case 17:    /* QOTD */
	case 19:    /* CharGEN */
	case 53:    /* DNS */
	case 69:    /* TFTP */
	case 111:   /* portmap */
	case 123:   /* NTP */
	case 137:   /* NetBIOS */
	case 161:   /* SNMP */
	case 389:   /* CLDAP */
	case 427:   /* SLP */
	case 520:   /* RIP */
	case 1434:  /* SQL Server */
	case 1900:  /* SSDP */
	case 3283:  /* Apple Remote Management */
	case 3389:  /* RDP */
	case 3702:  /* WS-Discovery */
	case 5093:  /* Sentinel */
	case 5353:  /* mDNS */
	case 5683:  /* CoAP */
	case 10001: /* Ubiquiti discovery */
	case 11211: /* memcached */
	case 27015: /* Source engine */
	case 27960: /* Quake 3 */
	case 37810: /* DHDiscover */
		return true;
	default:
		return false;
	}
}

static __always_inline enum uplink_class transport_class(void *ctx, enum source source, __u32 protocol, __u32 offset,
							 bool is_ipv6)
{
	struct tcphdr tcp_copy;
	struct udphdr udp_copy;
	const struct udphdr *udp;
	const void *tcp;

	if (protocol == IPPROTO_TCP) {
		tcp = read_header(ctx, source, offset, &tcp_copy, sizeof(tcp_copy));
		return tcp ? tcp_class(*(const __u8 *)(tcp + TCP_FLAGS_OFFSET)) : UPLINK_OTHER_IP;
	}
	if (protocol == IPPROTO_UDP) {
		udp = read_header(ctx, source, offset, &udp_copy, sizeof(udp_copy));
		if (!udp)
			return UPLINK_OTHER_IP;
		return amplifies(udp->source) ? UPLINK_UDP_REFLECTION : UPLINK_UDP;
	}
	if (protocol == (is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
		return UPLINK_ICMP;
	return UPLINK_OTHER_IP;
}

static __always_inline enum uplink_class ipv4_class(void *ctx, enum source source, __u32 offset)
{
	const struct iphdr *ip;
	struct iphdr copy;

	ip = read_header(ctx, source, offset, &copy, sizeof(copy));
	if (!ip || ip->version != 4 || ip->ihl < 5)
		return UPLINK_OTHER_IP;
	if (ip->frag_off & bpf_htons(IP_MF | IPV4_FRAGMENT_OFFSET))
		return UPLINK_FRAGMENT;
	return transport_class(ctx, source, ip->protocol, offset + ip->ihl * 4, false);
}

/* RFC 8200 section 4; the authentication header's length is RFC 4302's. */
static __always_inline enum uplink_class ipv6_class(void *ctx, enum source source, __u32 offset)
{
	const struct ipv6_extension *extension;
	struct ipv6_extension extension_copy;
	const struct ipv6hdr *ip;
	struct ipv6hdr copy;
	__u32 nexthdr;

	ip = read_header(ctx, source, offset, &copy, sizeof(copy));
	if (!ip || ip->version != 6)
		return UPLINK_OTHER_IP;
	nexthdr = ip->nexthdr;
	offset += sizeof(*ip);
	for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_ipv6_extension(nexthdr); i++) {
		extension = read_header(ctx, source, offset, &extension_copy, sizeof(extension_copy));
		if (!extension)
			return UPLINK_OTHER_IP;
		if (nexthdr == IPPROTO_FRAGMENT) {
			/* One that is all of its packet is no fragment (RFC 6946). */
			if (extension->fragment_offset & bpf_htons(IP6_MORE_OFFSET))
				return UPLINK_FRAGMENT;
			offset += 8;
		} else if (nexthdr == IPPROTO_AH) {
			offset += (extension->len + 2) * 4;
		} else {
			offset += (extension->len + 1) * 8;
		}
		nexthdr = extension->nexthdr;
	}
	return transport_class(ctx, source, nexthdr, offset, true);
}

/* Any frame. tags: how many were taken out of it, and travel beside it. */
static __always_inline enum uplink_class any_class(void *ctx, enum source source, __u32 tags)
{
	const struct vlan_header *vlan;
	struct vlan_header vlan_copy;
	const struct ethhdr *eth;
	struct ethhdr eth_copy;
	__u32 offset = ETH_HLEN;
	__be16 proto;

	eth = read_header(ctx, source, 0, &eth_copy, sizeof(eth_copy));
	if (!eth)
		return UPLINK_OTHER;
	proto = eth->h_proto;
#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (tags >= VLAN_TAGS_MAX || !is_vlan(proto))
			break;
		vlan = read_header(ctx, source, offset, &vlan_copy, sizeof(vlan_copy));
		if (!vlan)
			return UPLINK_OTHER;
		proto = vlan->encapsulated_proto;
		offset += VLAN_HLEN;
		tags++;
	}
	if (proto == bpf_htons(ETH_P_IP))
		return ipv4_class(ctx, source, offset);
	if (proto == bpf_htons(ETH_P_IPV6))
		return ipv6_class(ctx, source, offset);
	return proto == bpf_htons(ETH_P_ARP) ? UPLINK_ARP : UPLINK_OTHER;
}

/*
 * Functions of their own, so that the registers and the stack that these ways
 * take cost the other frames nothing.
 */
static __noinline __u32 any_xdp_class(struct xdp_md *xdp)
{
	return any_class(xdp, FROM_XDP, 0);
}

static __noinline __u32 any_xdp_frags_class(struct xdp_md *xdp)
{
	return any_class(xdp, FROM_XDP_FRAGS, 0);
}

static __noinline __u32 any_skb_class(struct __sk_buff *skb)
{
	return any_class(skb, FROM_SKB, skb->vlan_present ? 1 : 0);
}

/* What most frames are: TCP over IPv4 without options right behind Ethernet, whole and linear. UPLINK_CLASSES of all
 * others. */
static __always_inline __u32 plain_class(const void *data, const void *end)
{
	const struct iphdr *ip = data + ETH_HLEN;
	const struct tcphdr *tcp = (const void *)(ip + 1);

	if ((const void *)(tcp + 1) > end ||
	    (*(const __u32 *)(data + offsetof(struct ethhdr, h_proto)) & PLAIN_IPV4_MASK) != PLAIN_IPV4 ||
	    ip->protocol != IPPROTO_TCP || (ip->frag_off & bpf_htons(IP_MF | IPV4_FRAGMENT_OFFSET)))
		return UPLINK_CLASSES;
	return tcp_class(*((const __u8 *)tcp + TCP_FLAGS_OFFSET));
}

static __always_inline struct uplink_count *size_of(struct uplink_value *value, __u32 len)
{
	static const __u32 bounds[] = UPLINK_SIZE_BOUNDS;

#pragma unroll
	for (__u32 range = 0; range < UPLINK_SIZES - 1; range++) {
		if (len <= bounds[range])
			return &value->sizes[range];
	}
	return &value->sizes[UPLINK_SIZES - 1];
}

static __always_inline void add(struct uplink_count *count, __u64 packets, __u64 bytes)
{
	count->packets += packets;
	count->bytes += bytes;
}

static __always_inline void count_frame(struct uplink_value *value, __u32 class, __u32 len)
{
	if (class >= UPLINK_CLASSES)
		return;
	add(&value->classes[class], 1, len);
	add(size_of(value, len), 1, len);
}

static __always_inline int count_xdp(struct xdp_md *xdp, bool has_frags)
{
	const void *data = (void *)(long)xdp->data;
	const void *end = (void *)(long)xdp->data_end;
	struct uplink_value *value;
	__u32 class;

	value = value_of(xdp->ingress_ifindex, false, true);
	if (unlikely(!value))
		return XDP_PASS;
	class = plain_class(data, end);
	if (class == UPLINK_CLASSES)
		class = has_frags ? any_xdp_frags_class(xdp) : any_xdp_class(xdp);
	count_frame(value, class, has_frags ? bpf_xdp_get_buff_len(xdp) : end - data);
	return XDP_PASS;
}

/* Of an skb that stands for several frames on the wire. */
static __always_inline void measure_gso(struct __sk_buff *skb, __u32 tag, struct load *load)
{
	struct packet packet = parse_packet(skb);
	__u32 headers = headers_len(skb, &packet);
	__u32 packets = skb->gso_segs;
	__u32 size = skb->gso_size;
	__u32 len = load->bytes;

	headers = headers ? headers + tag : 0;
	if (headers >= len)
		headers = 0;
	/* A sender outside of the kernel (TUN, AF_PACKET) need not say how many. */
	if (!packets)
		packets = size == GSO_BY_FRAGS ? 1 : (len - headers + size - 1) / size;
	if (!packets)
		packets = 1;
	load->packets = packets;
	load->bytes = len + (__u64)(packets - 1) * headers;
	load->segment_len = headers + size;
	if (!headers || size == GSO_BY_FRAGS || (__u64)(packets - 1) * load->segment_len >= load->bytes)
		load->segment_len = load->bytes / packets;
	load->last_len = load->bytes - (__u64)(packets - 1) * load->segment_len;
}

/* A tag beside the frame, or several frames in one skb. */
static __noinline int count_any_skb(struct __sk_buff *skb, struct uplink_value *value)
{
	/* On the wire the tag is in the frame. */
	__u32 tag = skb->vlan_present ? VLAN_HLEN : 0;
	struct load load = { .packets = 1, .bytes = skb->len + tag };
	__u32 class = any_skb_class(skb);

	if (!value || class >= UPLINK_CLASSES)
		return TCX_NEXT;
	load.last_len = load.bytes;
	if (skb->gso_size)
		measure_gso(skb, tag, &load);
	add(&value->classes[class], load.packets, load.bytes);
	add(size_of(value, load.last_len), 1, load.last_len);
	if (load.packets > 1)
		add(size_of(value, load.segment_len), load.packets - 1, (__u64)(load.packets - 1) * load.segment_len);
	return TCX_NEXT;
}

static __always_inline int count_skb(struct __sk_buff *skb, bool sent)
{
	struct uplink_value *value = value_of(skb->ifindex, sent, false);
	__u32 class;

	if (unlikely(!value))
		return TCX_NEXT;
	if (unlikely(skb->gso_size || skb->vlan_present))
		return count_any_skb(skb, value);
	class = plain_class((void *)(long)skb->data, (void *)(long)skb->data_end);
	if (class == UPLINK_CLASSES)
		class = any_skb_class(skb);
	count_frame(value, class, skb->len);
	return TCX_NEXT;
}

SEC("xdp")
int podnet_uplink_xdp(struct xdp_md *xdp)
{
	return count_xdp(xdp, false);
}

SEC("xdp.frags")
int podnet_uplink_frags(struct xdp_md *xdp)
{
	return count_xdp(xdp, true);
}

SEC("tc")
int podnet_uplink_in(struct __sk_buff *skb)
{
	return count_skb(skb, false);
}

SEC("tc")
int podnet_uplink_out(struct __sk_buff *skb)
{
	return count_skb(skb, true);
}

char _license[] SEC("license") = "GPL";
