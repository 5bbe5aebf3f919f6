/* SPDX-License-Identifier: GPL-2.0-only */
/* Two generations that change values with a lock, plainly and only under it. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
#define u16 __u16
#define u32 __u32
#define u64 __u64

/* `pair` and `pair_check` are written together and belong together: half of a change must never be seen. */
struct locked_old {
	struct bpf_spin_lock lock;
	u32 n32;
	u64 packets, pair, pair_check;
	u16 n16, spare;
	u32 end;
};
struct locked_new {
	u64 pair_check, pair, n64, packets;
	u32 fresh;
	struct bpf_spin_lock lock;
	u32 n16;
};
/* Counted atomically. */
struct unlocked {
	u64 packets, n64, pair, pair_check;
	u32 n16, spare;
};

/* As many fields as the engine knows. */
struct locked_many {
	u32 fields[1023];
	struct bpf_spin_lock lock;
};

/* The test may make arrays of those with a lock. */
#define MAP(map_name, map_type, value_type)          \
	struct {                                     \
		__uint(type, map_type);              \
		__uint(max_entries, 4096);           \
		__type(key, u32);                    \
		__type(value, value_type);           \
	} map_name SEC(".maps")
MAP(locked0, BPF_MAP_TYPE_HASH, struct locked_old);
MAP(locked1, BPF_MAP_TYPE_HASH, struct locked_new);
MAP(many0, BPF_MAP_TYPE_HASH, struct locked_many);
MAP(many1, BPF_MAP_TYPE_HASH, struct locked_many);
MAP(unlocked0, BPF_MAP_TYPE_LRU_HASH, struct unlocked);
MAP(unlocked1, BPF_MAP_TYPE_LRU_HASH, struct unlocked);

/* What a run does. only: 1 the old side, 2 the new one, always; 0: the generation that runs. */
u32 order_count, order_mask, order_only, order_unlocked0, order_unlocked1;
u32 generation; /* looked at once for each event */
u64 torn;       /* pairs that did not belong together, as an event found them */

#define FIRST(n) {.packets = 1, .n = 1, .n16 = 1, .pair_check = ~0ull}

#define DEFINE_COUNT(map, type, n, CHANGE)                                                     \
	static __noinline int count_##map(u32 key)                                             \
	{                                                                                      \
		type first = FIRST(n), *v = bpf_map_lookup_elem(&map, &key);                   \
                                                                                               \
		if (!v) {                                                                      \
			if (bpf_map_update_elem(&map, &key, &first, BPF_NOEXIST) == 0)         \
				return 1;                                                      \
			v = bpf_map_lookup_elem(&map, &key);                                   \
			if (!v)                                                                \
				return 0;                                                      \
		}                                                                              \
		CHANGE(v, n)                                                                   \
		return 1;                                                                      \
	}

#define PLAINLY(v, n)                                     \
	u64 bad;                                         \
	bpf_spin_lock(&v->lock);                          \
	v->packets++;                                     \
	v->n++;                                           \
	v->n16++;                                         \
	bad = (v->pair + v->pair_check) + 1;             \
	v->pair += 1;                                     \
	v->pair_check = ~v->pair;                         \
	bpf_spin_unlock(&v->lock);                        \
	if (bad)                                         \
		__sync_fetch_and_add(&torn, 1);

#define ATOMICALLY(v, n)                       \
	__sync_fetch_and_add(&v->packets, 1);  \
	__sync_fetch_and_add(&v->n, 1);        \
	__sync_fetch_and_add(&v->n16, 1);

DEFINE_COUNT(locked0, struct locked_old, n32, PLAINLY)
DEFINE_COUNT(locked1, struct locked_new, n64, PLAINLY)
DEFINE_COUNT(unlocked0, struct unlocked, n64, ATOMICALLY)
DEFINE_COUNT(unlocked1, struct unlocked, n64, ATOMICALLY)

static long count_one(u32 i, u32 *done)
{
	u32 key = bpf_get_prandom_u32() & order_mask, only = order_only;

	if (only ? only == 1 : *(volatile u32 *)&generation == 0)
		*done += order_unlocked0 ? count_unlocked0(key) : count_locked0(key);
	else
		*done += order_unlocked1 ? count_unlocked1(key) : count_locked1(key);
	return 0;
}

/* Not SEC("syscall"): those may take no lock before Linux 6.6. Returns how many it counted. */
SEC("tc") int count_many(void *ctx)
{
	u32 done = 0;

	bpf_loop(order_count, count_one, &done, 0);
	return done;
}
