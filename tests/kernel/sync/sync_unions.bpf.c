/* SPDX-License-Identifier: GPL-2.0-only */
/* Two generations that count in the members of a union; what its discriminator says decides where. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";
#define u32 __u32
#define u64 __u64

enum { FIRST_KIND = 1, SECOND_KIND = 2 };

/* `check` belongs to the count beside it: half of a change must never be seen under a lock. */
struct old_value {
	u32 kind, state;
	union {
		struct {
			u64 count, check;
		} a;
		struct {
			u32 flags, count;
			u64 check;
		} b;
	} u;
};
struct new_value {
	u64 fresh;
	union {
		struct {
			u32 flags, more;
			u64 check, count;
		} b;
		struct {
			u64 check, count;
		} a;
	} u;
	u32 state, kind;
};
struct old_locked {
	struct bpf_spin_lock lock;
	u32 spare;
	struct old_value v;
};
struct new_locked {
	struct new_value v;
	u32 spare;
	struct bpf_spin_lock lock;
};

#define MAP(map_name, value_type)                    \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_HASH);     \
		__uint(max_entries, 4096);           \
		__type(key, u32);                    \
		__type(value, value_type);           \
	} map_name SEC(".maps")
MAP(old_plain, struct old_value);
MAP(new_plain, struct new_value);
MAP(old_held, struct old_locked);
MAP(new_held, struct new_locked);

u32 order_count, order_mask, order_switch; /* of one in order_switch events, under the lock; 0: kinds never change */
u32 generation;
u64 torn;

#define DEFINE_PLAIN(map, type)                                                                   \
	static __noinline int count_##map(u32 key)                                                \
	{                                                                                         \
		type first = {}, *v = bpf_map_lookup_elem(&map, &key);                            \
                                                                                                  \
		if (!v) {                                                                         \
			first.kind = key & 1 ? FIRST_KIND : SECOND_KIND;                          \
			bpf_map_update_elem(&map, &key, &first, BPF_NOEXIST);                     \
			v = bpf_map_lookup_elem(&map, &key);                                      \
			if (!v)                                                                   \
				return 0;                                                         \
		}                                                                                 \
		if (v->kind == FIRST_KIND)                                                        \
			__sync_fetch_and_add(&v->u.a.count, 1);                                   \
		else if (v->kind == SECOND_KIND)                                                  \
			__sync_fetch_and_add(&v->u.b.count, 1);                                   \
		else                                                                              \
			return 0;                                                                 \
		return 1;                                                                         \
	}
DEFINE_PLAIN(old_plain, struct old_value)
DEFINE_PLAIN(new_plain, struct new_value)

/* Under the lock a key may change its kind: its count goes with it. */
#define DEFINE_HELD(map, type)                                                                    \
	static __noinline int count_##map(u32 key, u32 change)                                    \
	{                                                                                         \
		type first = {}, *v = bpf_map_lookup_elem(&map, &key);                            \
		u64 n, bad = 0;                                                                   \
                                                                                                  \
		if (!v) {                                                                         \
			first.v.kind = FIRST_KIND;                                                \
			first.v.u.a.check = ~0ull;                                                \
			bpf_map_update_elem(&map, &key, &first, BPF_NOEXIST);                     \
			v = bpf_map_lookup_elem(&map, &key);                                      \
			if (!v)                                                                   \
				return 0;                                                         \
		}                                                                                 \
		bpf_spin_lock(&v->lock);                                                          \
		if (v->v.kind == FIRST_KIND) {                                                    \
			n = v->v.u.a.count + 1;                                                   \
			bad = v->v.u.a.check + n;                                                 \
			if (change) {                                                             \
				v->v.kind = SECOND_KIND;                                          \
				v->v.u.b.flags = 7;                                               \
				v->v.u.b.count = n;                                               \
				v->v.u.b.check = ~n;                                              \
			} else {                                                                  \
				v->v.u.a.count = n;                                               \
				v->v.u.a.check = ~n;                                              \
			}                                                                         \
		} else {                                                                          \
			n = v->v.u.b.count + 1;                                                   \
			bad = v->v.u.b.check + n;                                                 \
			if (change) {                                                             \
				v->v.kind = FIRST_KIND;                                           \
				v->v.u.a.count = n;                                               \
				v->v.u.a.check = ~n;                                              \
			} else {                                                                  \
				v->v.u.b.count = n;                                               \
				v->v.u.b.check = ~n;                                              \
			}                                                                         \
		}                                                                                 \
		bpf_spin_unlock(&v->lock);                                                        \
		if (bad)                                                                          \
			__sync_fetch_and_add(&torn, 1);                                           \
		return 1;                                                                         \
	}
DEFINE_HELD(old_held, struct old_locked)
DEFINE_HELD(new_held, struct new_locked)

static long count_one_plain(u32 i, u32 *done)
{
	u32 key = bpf_get_prandom_u32() & order_mask;

	*done += *(volatile u32 *)&generation == 0 ? count_old_plain(key) : count_new_plain(key);
	return 0;
}

static long count_one_held(u32 i, u32 *done)
{
	u32 random = bpf_get_prandom_u32(), key = random & order_mask;
	u32 change = order_switch && (random >> 16) % order_switch == 0;

	*done += *(volatile u32 *)&generation == 0 ? count_old_held(key, change) : count_new_held(key, change);
	return 0;
}

/* Not SEC("syscall"): those may take no lock before Linux 6.6. Each returns how many it counted. */
SEC("tc") int count_many_plain(void *ctx)
{
	u32 done = 0;

	bpf_loop(order_count, count_one_plain, &done, 0);
	return done;
}

SEC("tc") int count_many_held(void *ctx)
{
	u32 done = 0;

	bpf_loop(order_count, count_one_held, &done, 0);
	return done;
}
