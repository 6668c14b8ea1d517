/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reads a packet's headers as far as they go. It never changes the packet:
 * bytes beyond the linear part are copied out with bpf_skb_load_bytes()
 * instead of being pulled in.
 */
#ifndef PODNET_PACKET_H
#define PODNET_PACKET_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_TAGS_MAX	     2
#define VLAN_HLEN	     4
#define UDP_HLEN	     8
#define SCTP_COMMON_HLEN     12
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8

/* Longer chains of extension headers are legal, and not seen in practice. */
#define IPV6_EXTENSIONS_MAX 8

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif

/* Where the headers are, from the Ethernet header on, and whose the transport's is. */
struct packet {
	__u32 protocol;		/* IPPROTO_*, or PACKET_NOT_IP */
	__u32 transport_offset; /* 0 where there is none. Means nothing in a later IPv4 fragment */
	__u32 network_offset;
	bool is_ipv6;
};

#define PACKET_NOT_IP 0xffff

struct vlan_header {
	__be16 tci;
	__be16 encapsulated_proto;
};

struct ipv6_extension {
	__u8 nexthdr;
	__u8 len;
	__be16 fragment_offset; /* of a fragment header only */
};

/*
 * A pointer to len bytes at the constant offset: into the packet where they
 * are linear, else to the copy. NULL where the packet is shorter.
 */
static __always_inline const void *packet_header(struct __sk_buff *skb, __u32 offset, void *copy, __u32 len)
{
	const void *data = (void *)(long)skb->data;
	const void *end = (void *)(long)skb->data_end;

	if (data + offset + len <= end)
		return data + offset;
	return bpf_skb_load_bytes(skb, offset, copy, len) ? NULL : copy;
}

static __always_inline bool is_vlan(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/* ip is NULL where the packet ends before it does. */
static __always_inline struct packet parse_ipv4(const struct iphdr *ip, __u32 offset)
{
	struct packet packet = { .protocol = PACKET_NOT_IP };

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return packet;
	packet.protocol = ip->protocol;
	packet.transport_offset = offset + ip->ihl * 4;
	packet.network_offset = offset;
	return packet;
}

static __always_inline bool is_ipv6_extension(__u32 nexthdr)
{
	return nexthdr == IPPROTO_HOPOPTS || nexthdr == IPPROTO_ROUTING || nexthdr == IPPROTO_DSTOPTS ||
	       nexthdr == IPPROTO_FRAGMENT || nexthdr == IPPROTO_AH;
}

/*
 * RFC 8200 section 4; the authentication header's length is RFC 4302's.
 *
 * A function of its own for the verifier's sake: it is checked once, with
 * nothing known of its result, instead of along every way through the headers
 * to the end of each program. Few packets come here, most have no extensions.
 *
 * Returns the protocol, and the transport header's offset in the upper half.
 */
__noinline __u64 skip_ipv6_extensions(struct __sk_buff *skb, __u32 nexthdr, __u32 offset)
{
	struct ipv6_extension extension;

	for (int i = 0; i < IPV6_EXTENSIONS_MAX && is_ipv6_extension(nexthdr); i++) {
		if (bpf_skb_load_bytes(skb, offset, &extension, sizeof(extension)))
			return PACKET_NOT_IP;
		if (nexthdr == IPPROTO_FRAGMENT) {
			if (extension.fragment_offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
				return extension.nexthdr;
			offset += 8;
		} else if (nexthdr == IPPROTO_AH) {
			offset += (extension.len + 2) * 4;
		} else {
			offset += (extension.len + 1) * 8;
		}
		nexthdr = extension.nexthdr;
	}
	return (__u64)offset << 32 | nexthdr;
}

static __always_inline struct packet parse_ipv6(struct __sk_buff *skb, __u32 offset)
{
	struct packet packet = { .protocol = PACKET_NOT_IP };
	const struct ipv6hdr *ip;
	struct ipv6hdr copy;
	__u64 skipped;

	ip = packet_header(skb, offset, &copy, sizeof(copy));
	if (!ip || ip->version != 6)
		return packet;
	packet.protocol = ip->nexthdr;
	packet.transport_offset = offset + sizeof(*ip);
	packet.network_offset = offset;
	packet.is_ipv6 = true;
	if (is_ipv6_extension(packet.protocol)) {
		skipped = skip_ipv6_extensions(skb, packet.protocol, packet.transport_offset);
		packet.protocol = (__u32)skipped;
		packet.transport_offset = skipped >> 32;
	}
	return packet;
}

static __always_inline struct packet parse_packet(struct __sk_buff *skb)
{
	struct packet packet = { .protocol = PACKET_NOT_IP };
	const struct vlan_header *vlan;
	struct vlan_header vlan_copy;
	const struct ethhdr *eth;
	struct ethhdr eth_copy;
	struct iphdr ip_copy;
	__u32 offset = ETH_HLEN;
	__be16 proto;

	eth = packet_header(skb, 0, &eth_copy, sizeof(eth_copy));
	if (!eth)
		return packet;
	proto = eth->h_proto;

#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (!is_vlan(proto))
			break;
		vlan = packet_header(skb, offset, &vlan_copy, sizeof(vlan_copy));
		if (!vlan)
			return packet;
		proto = vlan->encapsulated_proto;
		offset += VLAN_HLEN;
	}

	if (proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(packet_header(skb, offset, &ip_copy, sizeof(ip_copy)), offset);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(skb, offset);
	return packet;
}

/*
 * What most packets begin with: Ethernet's type, and IP's version and, of IPv4,
 * the length of a header without options; as the four bytes from the type on
 * read, in which the last, and of IPv6 half the third, are the traffic class.
 */
#define PLAIN_IPV4	bpf_htonl(ETH_P_IP << 16 | 0x4500)
#define PLAIN_IPV4_MASK bpf_htonl(0xffffff00)
#define PLAIN_IPV6	bpf_htonl(ETH_P_IPV6 << 16 | 0x6000)
#define PLAIN_IPV6_MASK bpf_htonl(0xfffff000)

/* Bytes in front of the transport's payload, which every segment repeats; 0 where that is not known. */
static __always_inline __u32 headers_len(struct __sk_buff *skb, const struct packet *packet)
{
	struct tcphdr tcp;

	if (!packet->transport_offset)
		return 0;
	switch (packet->protocol) {
	case IPPROTO_TCP:
		if (bpf_skb_load_bytes(skb, packet->transport_offset, &tcp, sizeof(tcp)))
			return 0;
		return packet->transport_offset + tcp.doff * 4;
	case IPPROTO_UDP:
		return packet->transport_offset + UDP_HLEN;
	case IPPROTO_SCTP:
		return packet->transport_offset + SCTP_COMMON_HLEN;
	default:
		return 0;
	}
}

#endif
