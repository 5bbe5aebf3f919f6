// SPDX-License-Identifier: GPL-2.0-only
// flowagg 2: against version 1 both counters are widened, the fields are reordered, `first_seen` is called `start`, and the TCP
// flags of a flow are collected.
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

struct record {
	__u64 start MS_FIRST; // CLOCK_MONOTONIC, ns; `first_seen` in version 1: the manifest says so
	__u64 last_seen MS_MAX;
	__u64 packets MS_SUM;
	__u64 bytes MS_SUM;
	__u32 tcp_flags MS_OR;
	__u32 pad;
};

#define RECORDS_MAX 262144
#include "flowagg.bpf.h"

static __always_inline void add(struct record *record, const struct packet *packet, __u64 now)
{
	__sync_fetch_and_add(&record->packets, 1);
	__sync_fetch_and_add(&record->bytes, packet->length);
	if (now > record->last_seen)
		record->last_seen = now;
	if (packet->tcp_flags & ~record->tcp_flags)
		__sync_fetch_and_or(&record->tcp_flags, packet->tcp_flags);
}

static __always_inline struct record fresh(const struct packet *packet, __u64 now)
{
	struct record record = {
		.start = now, .last_seen = now, .packets = 1, .bytes = packet->length, .tcp_flags = packet->tcp_flags,
	};

	return record;
}

SEC("xdp")
int aggregate(struct xdp_md *ctx)
{
	return account(ctx);
}

char LICENSE[] SEC("license") = "GPL";
