// SPDX-License-Identifier: GPL-2.0-only
// flowagg 3: against version 2 the table is twice as large, `bytes` is called `octets`, and packets are also counted by size.
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

#define SIZE_CLASSES 4 /* up to 127 bytes, 511, 1023, more */

struct record {
	__u64 packets MS_SUM;
	__u64 octets MS_SUM MS_FROM("bytes");
	__u32 sizes[SIZE_CLASSES] MS_SUM; // of packets since version 3
	__u64 start MS_FIRST;             // CLOCK_MONOTONIC, ns
	__u64 last_seen MS_MAX;
	__u32 tcp_flags MS_OR;
	__u32 pad;
};

#define RECORDS_MAX 524288
#include "flowagg.bpf.h"

static __always_inline __u32 size_class(__u32 length)
{
	return length < 128 ? 0 : length < 512 ? 1 : length < 1024 ? 2 : 3;
}

static __always_inline void add(struct record *record, const struct packet *packet, __u64 now)
{
	__sync_fetch_and_add(&record->packets, 1);
	__sync_fetch_and_add(&record->octets, packet->length);
	__sync_fetch_and_add(&record->sizes[size_class(packet->length)], 1);
	if (now > record->last_seen)
		record->last_seen = now;
	if (packet->tcp_flags & ~record->tcp_flags)
		__sync_fetch_and_or(&record->tcp_flags, packet->tcp_flags);
}

static __always_inline struct record fresh(const struct packet *packet, __u64 now)
{
	struct record record = {
		.packets = 1, .octets = packet->length, .start = now, .last_seen = now, .tcp_flags = packet->tcp_flags,
	};

	record.sizes[0] = packet->length < 128;
	record.sizes[1] = packet->length >= 128 && packet->length < 512;
	record.sizes[2] = packet->length >= 512 && packet->length < 1024;
	record.sizes[3] = packet->length >= 1024;
	return record;
}

SEC("xdp")
int aggregate(struct xdp_md *ctx)
{
	return account(ctx);
}

char LICENSE[] SEC("license") = "GPL";
