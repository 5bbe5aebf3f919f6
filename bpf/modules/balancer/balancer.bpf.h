/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of balancer share: services, the totals, and which place in its service's table a packet falls to. */
#ifndef BALANCER_BPF_H
#define BALANCER_BPF_H
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

#define PLACES 16        /* of a service: its backends fill them in the proportion that user space wants */
#define BACKENDS_MAX 256
#define SERVICES_MAX 64

/* Address and port that clients know. Padding is explicit: it is part of the key. */
struct service {
	__be32 address;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

/* Key of a longest-prefix table: the first `bits` bits of `address`. */
struct source {
	__u32 bits;
	__be32 address;
};

/* seen = balanced + refused + no_service + no_backend + other */
struct totals {
	__u64 seen MS_SUM;
	__u64 balanced MS_SUM;
	__u64 refused MS_SUM;    /* from a range that is kept out */
	__u64 no_service MS_SUM;
	__u64 no_backend MS_SUM; /* an empty place */
	__u64 other MS_SUM;      /* not IPv4 */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

/* All packets of a flow fall to the same place. */
static __always_inline __u32 place_of(const struct flow_key *flow)
{
	__u32 mixed = (bpf_ntohl(flow->saddr) ^ bpf_ntohs(flow->sport)) * 2654435761U;

	return (mixed >> 16) % PLACES;
}

#endif
