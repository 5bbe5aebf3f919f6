/* SPDX-License-Identifier: GPL-2.0-only */
/* The program, the same in all versions: they define the maps, may_enter(), and count_backend(). */

/* Replaces the destination; the checksum of the IP header follows (RFC 1624). Those of TCP and UDP, which cover the address as well, are not carried along here. */
static __always_inline void redirect(struct iphdr *ip, __be32 to)
{
	__u32 sum = (__u16)~ip->check;

	sum += (__u16)~(ip->daddr & 0xffff) + (__u16)~(ip->daddr >> 16) + (to & 0xffff) + (to >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~((sum & 0xffff) + (sum >> 16));
	ip->daddr = to;
}

/*
 * Not inlined, so that the object describes `struct backend`: clang 14 writes down no more than the name of a type that nothing but an
 * inner map's definition mentions, and libbpf then cannot tell the size of its values.
 */
static __noinline __be32 address_of(const struct backend *backend)
{
	return backend ? backend->address : 0;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet packet = {};
	struct service service = {};
	struct source source = {.bits = 32};
	struct backend *backend;
	struct totals *all;
	struct iphdr *ip;
	__u32 zero = 0, place;
	void *table;
	__be32 to;

	all = bpf_map_lookup_elem(&totals, &zero);
	if (!all)
		return XDP_PASS;
	all->seen++; /* XDP runs with bottom halves off: a CPU's slot has one writer */
	if (!read_packet(data, end, &packet)) {
		all->other++;
		return XDP_PASS;
	}
	source.address = packet.key.saddr;
	if (!may_enter(&source)) {
		all->refused++;
		return XDP_DROP;
	}
	service.address = packet.key.daddr;
	service.port = packet.key.dport;
	service.proto = packet.key.proto;
	table = bpf_map_lookup_elem(&services, &service);
	if (!table) {
		all->no_service++;
		return XDP_PASS;
	}
	place = place_of(&packet.key);
	backend = bpf_map_lookup_elem(table, &place);
	to = address_of(backend);
	if (!backend || !to) {
		all->no_backend++;
		return XDP_DROP;
	}
	count_backend(backend->id, packet.length);
	all->balanced++;
	ip = data + sizeof(struct ethhdr);
	if ((void *)(ip + 1) <= end)
		redirect(ip, to);
	return XDP_PASS;
}
