/* SPDX-License-Identifier: GPL-2.0-only */
/* Writers that work on both sides of a sync at full speed, as programs of the two generations would. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
#define u32 __u32
#define u64 __u64

struct old_value { u64 packets, last; u32 state, n32; };
struct new_value { u32 state, flags; u64 last, packets, n64; };

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

struct order { u32 count, mask, mode, seed; u64 done; };

static long count_one(u32 i, struct order *o)
{
	u32 key = bpf_get_prandom_u32() & o->mask;

	if (*(volatile u32 *)&generation == 0) {
		struct old_value *v = bpf_map_lookup_elem(&side0, &key);

		if (!v) {
			struct old_value first = {.packets = 1, .n32 = 1, .last = bpf_ktime_get_ns()};

			if (bpf_map_update_elem(&side0, &key, &first, BPF_NOEXIST) == 0) {
				o->done++;
				return 0;
			}
			v = bpf_map_lookup_elem(&side0, &key);
			if (!v)
				return 0;
		}
		__sync_fetch_and_add(&v->packets, 1);
		__sync_fetch_and_add(&v->n32, 1);
		v->last = bpf_ktime_get_ns();
	} else {
		struct new_value *v = bpf_map_lookup_elem(&side1, &key);

		if (!v) {
			struct new_value first = {.packets = 1, .n64 = 1, .last = bpf_ktime_get_ns()};

			if (bpf_map_update_elem(&side1, &key, &first, BPF_NOEXIST) == 0) {
				o->done++;
				return 0;
			}
			v = bpf_map_lookup_elem(&side1, &key);
			if (!v)
				return 0;
		}
		__sync_fetch_and_add(&v->packets, 1);
		__sync_fetch_and_add(&v->n64, 1);
		v->last = bpf_ktime_get_ns();
	}
	o->done++;
	return 0;
}

SEC("syscall") int write_many(struct order *o)
{
	struct order copy = *o;

	bpf_loop(copy.count, count_one, &copy, 0);
	o->done = copy.done;
	return 0;
}
