// SPDX-License-Identifier: GPL-2.0-only
// flowagg 1: adds up the IPv4 packets of each flow until an exporter in user space takes the flow out (lookup and delete).
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

struct record {
	__u32 packets MS_SUM;
	__u32 bytes MS_SUM;
	__u64 first_seen MS_FIRST; // CLOCK_MONOTONIC, ns
	__u64 last_seen MS_MAX;
};

#define RECORDS_MAX 262144
#include "flowagg.bpf.h"

static __always_inline void add(struct record *record, const struct packet *packet, __u64 now)
{
	__sync_fetch_and_add(&record->packets, 1);
	__sync_fetch_and_add(&record->bytes, packet->length);
	if (now > record->last_seen)
		record->last_seen = now;
}

static __always_inline struct record fresh(const struct packet *packet, __u64 now)
{
	struct record record = {.packets = 1, .bytes = packet->length, .first_seen = now, .last_seen = now};

	return record;
}

SEC("xdp")
int aggregate(struct xdp_md *ctx)
{
	return account(ctx);
}

char LICENSE[] SEC("license") = "GPL";
