/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of flowmeter share: the key of a flow and how it is read from a packet. */
#ifndef FLOWMETER_PACKET_BPF_H
#define FLOWMETER_PACKET_BPF_H
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_FRAGMENT_OFFSET 0x1fff

/* Addresses and ports in network order, as in the packet. Padding is explicit: it is part of the key. */
struct flow_key {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};

struct packet {
	struct flow_key key;
	__u32 length; /* of the IP datagram, header included */
	__u32 tcp_flags;
};

/*
 * Fills `packet` from an Ethernet frame. False: not an IPv4 packet, or one too short to say.
 * A later fragment has no ports: they are 0. TCP and UDP headers beyond what the frame holds count as absent.
 */
static __always_inline bool read_packet(void *data, void *end, struct packet *packet)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	void *l4;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->version != 4 || ip->ihl < 5)
		return false;
	packet->key.saddr = ip->saddr;
	packet->key.daddr = ip->daddr;
	packet->key.proto = ip->protocol;
	packet->length = bpf_ntohs(ip->tot_len);
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return true;
	l4 = (void *)ip + ip->ihl * 4;
	if (ip->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		if ((void *)(tcp + 1) > end)
			return true;
		packet->key.sport = tcp->source;
		packet->key.dport = tcp->dest;
		packet->tcp_flags = ((__u8 *)tcp)[13];
	} else if (ip->protocol == IPPROTO_UDP) {
		struct udphdr *udp = l4;

		if ((void *)(udp + 1) > end)
			return true;
		packet->key.sport = udp->source;
		packet->key.dport = udp->dest;
	}
	return true;
}

#endif
