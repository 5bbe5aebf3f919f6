/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys whose layout changed. Base, and everything in here, knows a key as side 0 writes it; side 1 is asked with its own.
 *
 * A key has a counterpart only if the way there and back gives the same bytes: then no two keys can meet in one, whatever
 * the table says. One that does not fit into a narrower field, or that has something where the other layout has nothing, has
 * none, and is counted.
 */
#ifndef MAPSHIFT_KEYS_H
#define MAPSHIFT_KEYS_H

#include "convert.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} key0 SEC(".maps"), key1 SEC(".maps"), back0 SEC(".maps"), back1 SEC(".maps"), walked1 SEC(".maps");

struct key_job {
	const void *from;
	void *to;
};

#define KEY_SIZE(side) ((side) ? key_size1 : key_size)

static __always_inline long carry_key_field(u32 i, struct key_job *k, bool from1)
{
	const volatile struct ms_field *f;
	u8 ignored = 0; /* a value that does not fit comes back as another one */
	u64 x;

	if (i >= MS_MAX_KEY_FIELDS)
		return 1;
	f = &key_fields[i];
	x = load(k->from, FIELD_OFF(f, from1), FIELD_SIZE(f, from1), KEY_SIZE(from1));
	store(k->to, FIELD_OFF(f, !from1), FIELD_SIZE(f, !from1), KEY_SIZE(!from1), carried(f, x, from1, &ignored));
	return 0;
}

static long key_field_to1(u32 i, struct key_job *k)
{
	return carry_key_field(i, k, false);
}

static long key_field_to0(u32 i, struct key_job *k)
{
	return carry_key_field(i, k, true);
}

static __always_inline void clear_key(void *key, u32 size)
{
	for (u32 i = 0; i < size; i++)
		*(volatile u8 *)(key + i) = 0;
}

static __always_inline bool same_key(const void *a, const void *b, u32 size)
{
	u8 differs = 0;

	for (u32 i = 0; i < size; i++)
		differs |= *(volatile u8 *)(a + i) ^ *(volatile u8 *)(b + i);
	return !differs;
}

static __noinline void *convert_key(const void *key, bool from1)
{
	u32 zero = 0;
	void *to = from1 ? bpf_map_lookup_elem(&key0, &zero) : bpf_map_lookup_elem(&key1, &zero);
	void *back = from1 ? bpf_map_lookup_elem(&back1, &zero) : bpf_map_lookup_elem(&back0, &zero);
	struct key_job there = {key, to}, and_back = {to, back};

	if (!key || !to || !back)
		return 0;
	clear_key(to, KEY_SIZE(!from1));
	clear_key(back, KEY_SIZE(from1));
	if (from1) {
		bpf_loop(nr_key_fields, key_field_to0, &there, 0);
		bpf_loop(nr_key_fields, key_field_to1, &and_back, 0);
	} else {
		bpf_loop(nr_key_fields, key_field_to1, &there, 0);
		bpf_loop(nr_key_fields, key_field_to0, &and_back, 0);
	}
	return same_key(key, back, KEY_SIZE(from1)) ? to : 0;
}

bool has_key1; /* the key at work has a counterpart */

/* The key at work from here on: in walk_key, and in key1 where side 1 writes it differently. */
static __always_inline bool take_key(const void *key)
{
	u32 zero = 0;
	void *to = bpf_map_lookup_elem(&walk_key, &zero);

	if (!to || bpf_probe_read_kernel(to, key_size, key))
		return false;
	has_key1 = key_size1 && convert_key(to, false);
	return true;
}

/* The key at work as side 1 writes it; null: side 1 cannot hold it. */
static __always_inline void *as_key1(void *key)
{
	u32 zero = 0;

	if (!key_size1)
		return key;
	return has_key1 ? bpf_map_lookup_elem(&key1, &zero) : 0;
}

/* A key of side 1 as side 0 writes it; null: side 0 cannot hold it. */
static __always_inline void *as_key0(void *key)
{
	return key_size1 ? convert_key(key, true) : key;
}

static __always_inline void *find0(void *key, u32 cpu)
{
	return percpu ? bpf_map_lookup_percpu_elem(&side0, key, cpu) : bpf_map_lookup_elem(&side0, key);
}

/* By its own key. */
static __always_inline void *own_value1(void *key, u32 cpu)
{
	return percpu1 ? bpf_map_lookup_percpu_elem(&side1, key, cpu) : bpf_map_lookup_elem(&side1, key);
}

/* `key` is the one at work. */
static __always_inline void *find1(void *key, u32 cpu)
{
	key = as_key1(key);
	return key ? own_value1(key, cpu) : 0;
}

/* Under churn one lookup in 300,000 misses a key that is there (rule 8). */
static __always_inline void *value0(void *key)
{
	void *v = find0(key, target_cpu);

	return v || arrays ? v : find0(key, target_cpu);
}

static __always_inline void *value1(void *key)
{
	void *v = find1(key, target_cpu);

	return v || arrays ? v : find1(key, target_cpu);
}

#endif
