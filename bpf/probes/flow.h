/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hash of the flow that a packet belongs to: addresses, ports and protocol. Both directions of a connection have the same
 * one, so that an ingress and an egress hook, and hooks of different types, agree on it. Fragments go by their addresses
 * alone, all of a datagram alike. What is no IP, or too short, has no flow.
 */
#ifndef MAPSHIFT_FLOW_H
#define MAPSHIFT_FLOW_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MS_NO_FLOW 0xffffffffu /* below no share */
#define MS_FRAGMENTED 0x3fff   /* more fragments, or an offset: RFC 791 */

struct ms_vlan {
	__be16 tci, inner;
};

struct ms_ports {
	__be16 source, dest;
};

static __always_inline __u32 ms_mix(__u32 h)
{
	h ^= h >> 16;
	h *= 0x7feb352d;
	h ^= h >> 15;
	h *= 0x846ca68b;
	return h ^ h >> 16;
}

/* The sum of the two ends does not depend on their order. */
static __always_inline __u32 ms_flow_hash(__u32 end0, __u32 end1, __u8 protocol)
{
	__u32 h = ms_mix(ms_mix(end0) + ms_mix(end1) + protocol);

	return h == MS_NO_FLOW ? 0 : h;
}

static __always_inline __u32 ms_end6(const struct in6_addr *a)
{
	__u32 h = a->in6_u.u6_addr32[0];

	h = ms_mix(h) ^ a->in6_u.u6_addr32[1];
	h = ms_mix(h) ^ a->in6_u.u6_addr32[2];
	return ms_mix(h) ^ a->in6_u.u6_addr32[3];
}

static __always_inline int ms_has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

static __always_inline __u32 ms_hash4(const struct iphdr *ip, const struct ms_ports *ports)
{
	__u32 end0 = ip->saddr, end1 = ip->daddr;

	if (ports) {
		end0 = ms_mix(end0) ^ ports->source;
		end1 = ms_mix(end1) ^ ports->dest;
	}
	return ms_flow_hash(end0, end1, ip->protocol);
}

static __always_inline __u32 ms_hash6(const struct ipv6hdr *ip, const struct ms_ports *ports)
{
	__u32 end0 = ms_end6(&ip->saddr), end1 = ms_end6(&ip->daddr);

	if (ports) {
		end0 = ms_mix(end0) ^ ports->source;
		end1 = ms_mix(end1) ^ ports->dest;
	}
	/* An extension header comes and goes with the packet; the flow stays. */
	return ms_flow_hash(end0, end1, ports ? ip->nexthdr : 0);
}

static __always_inline __u32 ms_flow_of_xdp(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end, *at = (void *)(long)ctx->data;
	struct ethhdr *eth = at;
	struct ms_ports *ports;
	__be16 type;

	if ((void *)(eth + 1) > end)
		return MS_NO_FLOW;
	type = eth->h_proto;
	at = eth + 1;
	if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) { /* one tag: hooks behind the driver see through no second one */
		struct ms_vlan *vlan = at;

		if ((void *)(vlan + 1) > end)
			return MS_NO_FLOW;
		type = vlan->inner;
		at = vlan + 1;
	}
	if (type == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end || ip->ihl < 5)
			return MS_NO_FLOW;
		ports = at + ip->ihl * 4;
		if (!ms_has_ports(ip->protocol) || ip->frag_off & bpf_htons(MS_FRAGMENTED) || (void *)(ports + 1) > end)
			return ms_hash4(ip, 0);
		return ms_hash4(ip, ports);
	}
	if (type == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return MS_NO_FLOW;
		ports = (void *)(ip + 1);
		if (!ms_has_ports(ip->nexthdr) || (void *)(ports + 1) > end)
			return ms_hash6(ip, 0);
		return ms_hash6(ip, ports);
	}
	return MS_NO_FLOW;
}

static __always_inline __u32 ms_flow_of_skb(struct __sk_buff *skb)
{
	struct ms_ports ports;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) || ip.ihl < 5)
			return MS_NO_FLOW;
		if (!ms_has_ports(ip.protocol) || ip.frag_off & bpf_htons(MS_FRAGMENTED) ||
		    bpf_skb_load_bytes_relative(skb, ip.ihl * 4, &ports, sizeof(ports), BPF_HDR_START_NET))
			return ms_hash4(&ip, 0);
		return ms_hash4(&ip, &ports);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return MS_NO_FLOW;
		if (!ms_has_ports(ip.nexthdr) || bpf_skb_load_bytes_relative(skb, sizeof(ip), &ports, sizeof(ports), BPF_HDR_START_NET))
			return ms_hash6(&ip, 0);
		return ms_hash6(&ip, &ports);
	}
	return MS_NO_FLOW;
}

#endif
