/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that convert values, good and bad ones, beside what else a module has: names that the engine has as well. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mapshift/module.bpf.h"

char _license[] SEC("license") = "Dual BSD/GPL";
#define u32 __u32
#define u64 __u64

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps"), side0 SEC(".maps"), base SEC(".maps");

u64 phase, work;

SEC("xdp") int walk_side0(void *ctx)
{
	u32 key = 0;
	u64 *seen = bpf_map_lookup_elem(&stats, &key);

	if (seen)
		__sync_fetch_and_add(seen, 1);
	__sync_fetch_and_add(&phase, 1);
	return 2;
}

/* The layouts of lab.h. */
struct old_value {
	u64 packets, last;
	u32 state, n32;
};
struct new_value {
	u32 state, flags;
	u64 last, packets, n64;
};

MS_TRANSFORM(up_counts, struct old_value, struct new_value)
{
	to->packets = from->packets;
	to->n64 = from->n32;
	to->last = from->last;
	to->state = from->state;
}

MS_TRANSFORM(down_counts, struct new_value, struct old_value)
{
	to->packets = from->packets;
	to->n32 = from->n64;
	to->last = from->last;
	to->state = from->state;
}

struct flow_v1 {
	u64 in, out, last_ns;
	u32 state, kept;
};
struct flow_v2 {
	u64 packets, last_ms, bytes;
	u32 state, weight;
};

static const u32 new_state[4] = {10, 20, 30, 40};

/* Two fields in one, another unit, a table, and what the old layout cannot say. */
MS_TRANSFORM(up_flow, struct flow_v1, struct flow_v2)
{
	to->packets = from->in + from->out;
	to->last_ms = from->last_ns / 1000000;
	to->state = new_state[from->state & 3];
}

static __attribute__((noinline)) u32 old_state(u32 state)
{
	return state / 10 - 1;
}

MS_TRANSFORM(down_flow, struct flow_v2, struct flow_v1)
{
	to->in = from->packets - to->out;
	if (to->last_ns / 1000000 != from->last_ms)
		to->last_ns = from->last_ms * 1000000;
	to->state = old_state(from->state) & 3;
}

MS_TRANSFORM(up_endless, struct flow_v1, struct flow_v2)
{
	while (((volatile const struct flow_v1 *)from)->in)
		((volatile struct flow_v2 *)to)->packets++;
}

MS_TRANSFORM(up_wild, struct flow_v1, struct flow_v2)
{
	((volatile u64 *)to)[sizeof(*to) / 8] = from->in;
}

MS_TRANSFORM(up_with_map, struct flow_v1, struct flow_v2)
{
	u32 key = 0;
	u64 *seen = bpf_map_lookup_elem(&stats, &key);

	to->packets = seen ? *seen : from->in;
}
