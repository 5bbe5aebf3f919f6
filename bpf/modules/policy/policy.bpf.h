/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of policy share: which rule a packet meets, and the totals. */
#ifndef POLICY_BPF_H
#define POLICY_BPF_H
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

/* Rules are by protocol and destination port. Padding is explicit: it is part of the key. */
struct service {
	__be16 port;
	__u8 proto;
	__u8 pad;
};

/* seen = allowed + denied + unmatched + other */
struct totals {
	__u64 seen MS_SUM;
	__u64 allowed MS_SUM;
	__u64 denied MS_SUM;
	__u64 unmatched MS_SUM; /* no rule: passes */
	__u64 other MS_SUM;     /* not IPv4 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

#define RULES_MAX 1024

/* False: not an IPv4 packet. */
static __always_inline bool read_service(struct xdp_md *ctx, struct service *service, __u32 *length)
{
	struct packet packet = {};

	if (!read_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet))
		return false;
	service->port = packet.key.dport;
	service->proto = packet.key.proto;
	*length = packet.length;
	return true;
}

#endif
