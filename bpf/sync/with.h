/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A second old map that the author's function looks at beside the old value.
 *
 * One visit of a key reads it once (take_with), and every image that this visit makes is made of what was read
 * then: so base knows which value of the second map went into the new one, and what is written to it meanwhile is a change
 * that the next visit finds, like one of the old value itself.
 *
 * It is only read, unless there is a function for its way back, which wants the same keys: then what goes back to side 0 goes
 * back to it as well (transform.h), and base gets the image of what arrived in both.
 */
#ifndef MAPSHIFT_WITH_H
#define MAPSHIFT_WITH_H

#include "keys.h"
#include "locked.h"

const volatile bool has_with, has_with_key, has_with_down;
const volatile u32 with_size = 8, with_key_size = 4, lock2 = MS_NO_LOCK;

/* Replaced before load. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} with SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} with_raw SEC(".maps"),   /* its value, as read */
	with_given SEC(".maps"), /* the same, for the author's functions */
	with_wanted SEC(".maps"), /* as it should be */
	with_blank SEC(".maps"),  /* never written */
	with_key SEC(".maps"),   /* where it was read */
	with_key_was SEC(".maps"),
	with_of SEC(".maps");    /* the key at work, for the author's function */

bool with_there; /* it has such a key */

/* The author's functions take their place when the objects are linked. */
__weak __hidden int ms_with_key(const void *key, const void *from, void *to)
{
	return 0;
}

__weak __hidden int ms_with_down(const void *from, void *to)
{
	return 0;
}

__weak __hidden int ms_up_with(const void *from, const void *beside, void *to)
{
	return 0;
}

__weak __hidden int ms_down_with(const void *from, const void *beside, void *to)
{
	return 0;
}

/* The second map's key for a key of side 0 and the old value in `given`. */
static __always_inline void *key_of_with(void *key, const void *given)
{
	u32 zero = 0;
	void *to = bpf_map_lookup_elem(&with_key, &zero), *of = bpf_map_lookup_elem(&with_of, &zero);

	if (!has_with_key)
		return key;
	if (!to || !of || bpf_probe_read_kernel(of, key_size, key))
		return 0;
	clear_key(to, with_key_size);
	ms_with_key(of, given, to);
	return to;
}

/* Reads the second map for a key of side 0 and the old value in `given`. */
static __always_inline void take_with(void *key, const void *given)
{
	u32 zero = 0;
	void *raw = bpf_map_lookup_elem(&with_raw, &zero), *v;

	if (!has_with)
		return;
	with_there = false;
	key = key_of_with(key, given);
	if (!key || !raw)
		return;
	v = bpf_map_lookup_elem(&with, key);
	if (!v) /* one lookup may miss a key that is there (rule 8) */
		v = bpf_map_lookup_elem(&with, key);
	if (!v)
		return;
	COPY_VALUE(2, raw, v, with_size);
	with_there = true;
}

/* The old value was written, and is `given` now: it may point to another value of the second map. */
static __always_inline void follow_with(void *key, const void *given)
{
	u32 zero = 0;
	void *now = bpf_map_lookup_elem(&with_key, &zero), *was = bpf_map_lookup_elem(&with_key_was, &zero);

	if (!has_with_key || !now || !was)
		return;
	bpf_map_update_elem(&with_key_was, &zero, now, BPF_ANY);
	if (key_of_with(key, given) && !same_key(was, now, with_key_size))
		take_with(key, given);
}

/* What was read, as the author's functions get it: null where the second map has no such key. */
static __always_inline void *given_with(void)
{
	u32 zero = 0;
	void *raw = bpf_map_lookup_elem(&with_raw, &zero);

	if (!with_there || !raw)
		return 0;
	bpf_map_update_elem(&with_given, &zero, raw, BPF_ANY);
	return bpf_map_lookup_elem(&with_given, &zero);
}

#endif
