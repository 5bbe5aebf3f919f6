/* SPDX-License-Identifier: GPL-2.0-only */
/* Writers that work on both sides of a sync at full speed, as programs of the two generations would. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "../../../bpf/sync/queue.h"

char LICENSE[] SEC("license") = "GPL";
#define u32 __u32
#define u64 __u64

struct old_value { u64 packets, last; u32 state, n32; };
struct new_value { u32 state, flags; u64 last, packets, n64; };

/* Of any type that the test puts in their place. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct old_value);
} side0 SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct new_value);
} side1 SEC(".maps");

/* Which generation "runs": the writer looks once per event, as a hook does. */
u32 generation;
/* Increments that an interrupt made. */
u64 from_interrupts;
u32 interrupt_mask, interrupt_plain, interrupt_burst, interrupt_both;

struct order { u32 count, mask, plain, churn, only, put; u64 done; }; /* put: write whole values; only: 1 the old side, 2 the new one, always */

#define PLAIN_INC(x) (*(volatile typeof(x) *)&(x) = *(volatile typeof(x) *)&(x) + 1)

static __always_inline int count0(u32 *key, int plain)
{
	struct old_value *v = bpf_map_lookup_elem(&side0, key);

	if (!v) {
		struct old_value first = {.packets = 1, .n32 = 1, .last = 1};

		if (bpf_map_update_elem(&side0, key, &first, BPF_NOEXIST) == 0)
			return 1;
		v = bpf_map_lookup_elem(&side0, key);
		if (!v)
			return 0;
	}
	if (plain) {
		PLAIN_INC(v->packets);
		PLAIN_INC(v->n32);
	} else {
		__sync_fetch_and_add(&v->packets, 1);
		__sync_fetch_and_add(&v->n32, 1);
	}
	v->last = bpf_ktime_get_ns();
	return 1;
}

static __always_inline int count1(u32 *key, int plain)
{
	struct new_value *v = bpf_map_lookup_elem(&side1, key);

	if (!v) {
		struct new_value first = {.packets = 1, .n64 = 1, .last = 1};

		if (bpf_map_update_elem(&side1, key, &first, BPF_NOEXIST) == 0)
			return 1;
		v = bpf_map_lookup_elem(&side1, key);
		if (!v)
			return 0;
	}
	if (plain) {
		PLAIN_INC(v->packets);
		PLAIN_INC(v->n64);
	} else {
		__sync_fetch_and_add(&v->packets, 1);
		__sync_fetch_and_add(&v->n64, 1);
	}
	v->last = bpf_ktime_get_ns();
	return 1;
}

static __always_inline int count_key(u32 key, int plain)
{
	return *(volatile u32 *)&generation == 0 ? count0(&key, plain) : count1(&key, plain);
}

static long count_one(u32 i, struct order *o)
{
	u32 key = bpf_get_prandom_u32() & o->mask;

	o->done += o->only == 1 ? count0(&key, o->plain) : o->only == 2 ? count1(&key, o->plain) : count_key(key, o->plain);
	return 0;
}

/* Keys above the counted ones come and go. */
static long churn_one(u32 i, struct order *o)
{
	u32 key = (bpf_get_prandom_u32() & o->mask) | 0x80000000;
	struct old_value old = {};
	struct new_value new = {};

	if (*(volatile u32 *)&generation == 0) {
		if (bpf_map_delete_elem(&side0, &key))
			bpf_map_update_elem(&side0, &key, &old, BPF_NOEXIST);
	} else {
		if (bpf_map_delete_elem(&side1, &key))
			bpf_map_update_elem(&side1, &key, &new, BPF_NOEXIST);
	}
	return 0;
}

/* Whole values, key after key from `mask` on, to the side that runs or to `only`. */
static long put_one(u32 i, struct order *o)
{
	u32 key = o->mask + i;
	struct old_value old = {.state = o->put};
	struct new_value new = {.state = o->put};

	if (o->only == 1 || (o->only == 0 && *(volatile u32 *)&generation == 0))
		o->done += bpf_map_update_elem(&side0, &key, &old, BPF_ANY) == 0;
	else
		o->done += bpf_map_update_elem(&side1, &key, &new, BPF_ANY) == 0;
	return 0;
}

SEC("syscall") int write_many(struct order *o)
{
	struct order copy = *o;

	if (copy.put)
		bpf_loop(copy.count, put_one, &copy, 0);
	else if (copy.churn)
		bpf_loop(copy.count, churn_one, &copy, 0);
	else
		bpf_loop(copy.count, count_one, &copy, 0);
	o->done = copy.done;
	return 0;
}

/* Names counted keys to a handler's consumer, as if an update call had written them. */
static long bring_one(u32 i, struct order *o)
{
	u32 key = bpf_get_prandom_u32() & o->mask;

	o->done += push_written(&key, sizeof(key));
	return 0;
}

SEC("syscall") int bring_many(struct order *o)
{
	struct order copy = *o;

	bpf_loop(copy.count, bring_one, &copy, 0);
	o->done = copy.done;
	return 0;
}

/* Runs in an interrupt of the CPU clock, in the middle of whatever that CPU does. */
static long interrupt_one(u32 i, void *ctx)
{
	u32 key = bpf_get_prandom_u32() & interrupt_mask;
	int counted;

	if (!interrupt_both)
		counted = count_key(key, interrupt_plain);
	else
		counted = i & 1 ? count0(&key, interrupt_plain) : count1(&key, interrupt_plain);
	if (counted)
		__sync_fetch_and_add(&from_interrupts, 1);
	return 0;
}

SEC("perf_event") int write_in_interrupt(void *ctx)
{
	bpf_loop(interrupt_burst, interrupt_one, 0, 0);
	return 0;
}

/* One write to the last field, in an interrupt that falls into the middle of a visit. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4000);
} window SEC(".maps");
u32 ambush_armed, ambush_value;

SEC("perf_event") int ambush(void *ctx)
{
	u32 zero = 0, *values = bpf_map_lookup_elem(&window, &zero);

	if (!ambush_armed || !values)
		return 0;
	*(volatile u32 *)&values[999] = ambush_value;
	ambush_armed = 0;
	return 0;
}
