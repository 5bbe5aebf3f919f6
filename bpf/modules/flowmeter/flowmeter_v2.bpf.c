// SPDX-License-Identifier: GPL-2.0-only
// flowmeter 2: against version 1 the values are reordered, `packets` is widened, `min_length` is renamed, `longest` and
// `weight` are new, and the table is twice as large. Version 3 builds from this file with a defect.
#include "packet.bpf.h"

#include <mapshift/module.bpf.h>

struct flow {
	__u64 last_seen MS_MAX; // CLOCK_MONOTONIC, ns
	__u64 packets MS_SUM;
	__u64 bytes MS_SUM;
	__u64 first_seen MS_FIRST;
	__u32 shortest MS_MIN; // `min_length` in version 1: the manifest says so
	__u32 longest MS_MAX;
	__u32 tcp_flags MS_OR;
	__u32 weight MS_LATEST MS_DEFAULT(1); // set from user space, for billing
#ifdef FLOWMETER_GUARD
	__u64 dropped MS_SUM;
#endif
};

// seen = packets of all flows + other + overflow
struct stats {
	__u64 dropped MS_SUM;  // by this module
	__u64 seen MS_SUM;     // frames, both directions
	__u64 overflow MS_SUM; // no room in flows
	__u64 other MS_SUM;    // not IPv4
	__u64 bytes MS_SUM;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
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
	if (packet->length < flow->shortest)
		flow->shortest = packet->length;
	if (packet->length > flow->longest)
		flow->longest = packet->length;
	if (packet->tcp_flags & ~flow->tcp_flags)
		__sync_fetch_and_or(&flow->tcp_flags, packet->tcp_flags);
}

// The entry that took the packet; null when there was no room.
static __always_inline struct flow *count_flow(const struct packet *packet, __u32 packets)
{
	__u64 now = bpf_ktime_get_ns();
	struct flow *flow = bpf_map_lookup_elem(&flows, &packet->key);

	if (!flow) {
		struct flow fresh = {
			.packets = packets, .bytes = packet->length, .shortest = packet->length, .longest = packet->length,
			.first_seen = now, .last_seen = now, .tcp_flags = packet->tcp_flags, .weight = 1,
		};

		// Whole or not at all. When another CPU was faster its entry takes the packet.
		if (!bpf_map_update_elem(&flows, &packet->key, &fresh, BPF_NOEXIST))
			return bpf_map_lookup_elem(&flows, &packet->key);
		flow = bpf_map_lookup_elem(&flows, &packet->key);
	}
	if (flow)
		add_to_flow(flow, packet, packets, now);
	return flow;
}

// True: the packet may pass.
static __always_inline bool count(void *data, void *end, __u32 packets, bool may_drop)
{
	struct packet packet = {};
	__u32 zero = 0;
	struct stats *totals = bpf_map_lookup_elem(&stats, &zero);
	struct flow *flow;

	if (!totals)
		return true;
	totals->seen += packets; // both hooks run with bottom halves off: a CPU's slot has one writer
	if (!read_packet(data, end, &packet)) {
		totals->other += packets;
		return true;
	}
	totals->bytes += packet.length;
	flow = count_flow(&packet, packets);
	if (!flow) {
		totals->overflow += packets;
		return true;
	}
#ifdef FLOWMETER_GUARD
	// Meant for floods, but the comparison with a rate is missing: one of 20 UDP packets goes.
	if (may_drop && packet.key.proto == IPPROTO_UDP && bpf_get_prandom_u32() % 20 == 0) {
		__sync_fetch_and_add(&flow->dropped, packets);
		totals->dropped += packets;
		return false;
	}
#endif
	return true;
}

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	return count((void *)(long)ctx->data, (void *)(long)ctx->data_end, 1, true) ? XDP_PASS : XDP_DROP;
}

SEC("tcx/egress")
int count_egress(struct __sk_buff *skb)
{
	// What leaves may still be one large segment that the kernel cuts up later.
	count((void *)(long)skb->data, (void *)(long)skb->data_end, skb->gso_segs ?: 1, false);
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "GPL";
