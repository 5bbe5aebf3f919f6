/* SPDX-License-Identifier: GPL-2.0-only */
/* What specialises the engine for one pair of maps, its arguments, and the one key at work. */
#ifndef MAPSHIFT_TABLES_H
#define MAPSHIFT_TABLES_H

#include "mapshift/sync.h"
#include "scalar.h"

struct bpf_map; /* only a parameter of the callbacks */

/* Placeholders, replaced before load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} side0 SEC(".maps"), side1 SEC(".maps"), base SEC(".maps");

/* Whole values about to be inserted. Bytes that no field covers stay what user space put there: 0, or a default. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} fresh0 SEC(".maps"), fresh1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} empty_base SEC(".maps"), walk_key SEC(".maps"), walk0 SEC(".maps"), walk1 SEC(".maps"), hot_keys SEC(".maps"); /* hot_keys: two parts of hot_half keys each, and as many suspects of verify.h */

const volatile struct ms_field fields[MS_MAX_FIELDS] = {};
const volatile struct ms_field key_fields[MS_MAX_KEY_FIELDS] = {};
const volatile struct ms_default defaults1[MS_MAX_DEFAULTS] = {};
const volatile s64 remap0[MS_MAX_REMAPS] = {}, remap1[MS_MAX_REMAPS] = {};
const volatile struct ms_union unions[MS_MAX_UNIONS] = {};
const volatile struct ms_arm arms[MS_MAX_ARMS] = {};
const volatile u32 nr_unions = 0, nr_arms = 0;
const volatile u32 nr_fields = 1, nr_defaults = 0, nr_key_fields = 0, key_size = 4, key_size1 = 0 /* 0: the same bytes */, size0 = 8, size1 = 8, nr_cpus = 1, hot_half = 1;
const volatile u32 lock0 = MS_NO_LOCK, lock1 = MS_NO_LOCK; /* where each value's bpf_spin_lock lies */
const volatile bool percpu, percpu1, arrays, lru0, lru1, keep_delta, has_remap;
const volatile u32 raw_size0 = 8; /* of the old value itself, where size0 is that of its image */
const volatile bool transformed, has_down, down_is_up;
const volatile bool staged; /* values are worked on in copies (staged.h) */
const volatile bool sliced; /* maps are walked by iterators */

/* Arguments and results, through the mapping of .bss. */
u32 order; /* enum ms_order */
u32 phase, pass_number, target_cpu, complete, hot_into, hot_from, hot_count[2], hot_begin, hot_end;
u64 hot_overflow, mismatched;
bool forget_hot;
struct ms_stats stats;

#define ROUND8(n) (((n) + 7u) & ~7u)
#define SLOT_SIZE (8 + ROUND8(size0) + ROUND8(size1))

static __always_inline bool active1(void)
{
	return phase == MS_LIVE_NEW;
}

/* Programs of a CPU are kept out by running there: one instruction is atomic against them. */
static __always_inline bool on_target_cpu(void)
{
	return !percpu || target_cpu == bpf_get_smp_processor_id();
}

static __always_inline u64 *slot_at(struct ms_base *b, u32 cpu)
{
	u64 offset = cpu, size = SLOT_SIZE;

	if (cpu >= nr_cpus)
		return 0;
	/* Verifiers before Linux 6.11 (seen: 6.1) know the bounds of a product only when the constant is the factor that is read. */
	asm volatile("%0 *= %1" : "+r"(offset) : "r"(size));
	return (void *)b + sizeof(*b) + offset;
}

static __always_inline u64 *slot_of(struct ms_base *b)
{
	return slot_at(b, percpu ? target_cpu : 0);
}

/* The two values that a slot holds. */
static __always_inline void *slot0(u64 *slot)
{
	return slot + 1;
}

static __always_inline void *slot1(u64 *slot)
{
	return (void *)(slot + 1) + ROUND8(size0);
}

/* Many old values, one for each CPU, add up to one new value. */
static __always_inline bool adds_up(void)
{
	return percpu && !percpu1;
}

/* Base of side 1, which the CPUs share where their values add up: then it is kept in the first slot. */
static __always_inline void *base1(struct ms_base *b, u64 *slot)
{
	return slot1(adds_up() ? (u64 *)(b + 1) : slot);
}

/* A loop that is known not to run leaves its callback unverified, and 6.18 then refuses the program (EFAULT). */
#define each_field(callback, context)                             \
	do {                                                      \
		if (nr_fields)                                    \
			bpf_loop(nr_fields, callback, context, 0); \
	} while (0)

/* Fields by side. `side` must be a constant: the verifier ties each value to its map. */
#define FIELD_OFF(f, side) ((side) ? (f)->off1 : (f)->off0)
#define FIELD_SIZE(f, side) ((side) ? (f)->size1 : (f)->size0)
#define FIELD_SIGNED(f, side) ((f)->flags & ((side) ? MS_F_SIGNED1 : MS_F_SIGNED0))
#define VALUE_SIZE(side) ((side) ? size1 : size0)
#define LOCK(side) ((side) ? lock1 : lock0)

static __always_inline u64 get(const volatile struct ms_field *f, const void *v, bool side)
{
	return load(v, FIELD_OFF(f, side), FIELD_SIZE(f, side), VALUE_SIZE(side));
}

static __always_inline void set(const volatile struct ms_field *f, void *v, bool side, u64 x)
{
	store(v, FIELD_OFF(f, side), FIELD_SIZE(f, side), VALUE_SIZE(side), x);
}

/* What a sum moved by: narrow counters are sign-extended, so that one may wrap or restart. */
static __always_inline u64 moved_by(const volatile struct ms_field *f, u64 now, u64 was, bool side)
{
	return (u64)sign_extend(now - was, FIELD_SIZE(f, side));
}

static __always_inline void remember_hot(void *key)
{
	u32 n = hot_count[hot_into & 1], at;

	if (forget_hot)
		return;
	if (n >= hot_half) {
		hot_overflow++;
		return;
	}
	at = (hot_into & 1) * hot_half + n;
	if (!bpf_map_update_elem(&hot_keys, &at, key, BPF_ANY))
		hot_count[hot_into & 1] = n + 1;
}

#endif
