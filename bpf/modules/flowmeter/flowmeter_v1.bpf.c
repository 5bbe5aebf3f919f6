// SPDX-License-Identifier: GPL-2.0-only
// flowmeter 1: counts IPv4 packets of each flow, in both directions of one interface. Never drops.
#include "packet.bpf.h"

#include <mapshift/module.bpf.h>

struct flow {
	__u32 packets MS_SUM;
	__u32 min_length MS_MIN;
	__u64 bytes MS_SUM;
	__u64 first_seen MS_FIRST; // CLOCK_MONOTONIC, ns
	__u64 last_seen MS_MAX;
	__u32 tcp_flags MS_OR;
	__u32 pad;
};

// seen = packets of all flows + other + overflow
struct stats {
	__u64 seen MS_SUM;     // frames, both directions
	__u64 other MS_SUM;    // not IPv4
	__u64 dropped MS_SUM;  // by this module
	__u64 overflow MS_SUM; // no room in flows
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stats);
} stats SEC(".maps");

static __always_inline void add_to_flow(struct flow *flow, const struct packet *packet, __u32 packets, __u64 now)
{
	__sync_fetch_and_add(&flow->packets, packets);
	__sync_fetch_and_add(&flow->bytes, packet->length);
	if (now > flow->last_seen)
		flow->last_seen = now;
	if (packet->length < flow->min_length)
		flow->min_length = packet->length;
	if (packet->tcp_flags & ~flow->tcp_flags)
		__sync_fetch_and_or(&flow->tcp_flags, packet->tcp_flags);
}

static __always_inline void count(void *data, void *end, __u32 packets)
{
	struct packet packet = {};
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct stats *totals = bpf_map_lookup_elem(&stats, &zero);
	struct flow *flow;

	if (!totals)
		return;
	totals->seen += packets; // both hooks run with bottom halves off: a CPU's slot has one writer
	if (!read_packet(data, end, &packet)) {
		totals->other += packets;
		return;
	}
	flow = bpf_map_lookup_elem(&flows, &packet.key);
	if (!flow) {
		struct flow fresh = {
			.packets = packets, .bytes = packet.length, .min_length = packet.length,
			.first_seen = now, .last_seen = now, .tcp_flags = packet.tcp_flags,
		};

		// Whole or not at all. When another CPU was faster its entry takes the packet.
		if (!bpf_map_update_elem(&flows, &packet.key, &fresh, BPF_NOEXIST))
			return;
		flow = bpf_map_lookup_elem(&flows, &packet.key);
	}
	if (flow)
		add_to_flow(flow, &packet, packets, now);
	else
		totals->overflow += packets;
}

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	count((void *)(long)ctx->data, (void *)(long)ctx->data_end, 1);
	return XDP_PASS;
}

SEC("tcx/egress")
int count_egress(struct __sk_buff *skb)
{
	// What leaves may still be one large segment that the kernel cuts up later.
	count((void *)(long)skb->data, (void *)(long)skb->data_end, skb->gso_segs ?: 1);
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
