/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keys that a handler saw written (sync_follow.bpf.c), waiting for the pass thread. A visit of one is a visit like any
 * other: the pass thread makes it, so nothing here runs beside a pass.
 */
#ifndef MAPSHIFT_WRITTEN_H
#define MAPSHIFT_WRITTEN_H

#include "presence.h"
#include "queue.h"

#define MS_TAKE_EACH 64 /* keys of a walk between two looks at what was written meanwhile */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} written_key SEC(".maps");

const volatile bool following;
u32 take_at_most;
u64 taken; /* since the beginning */

/* The entry of a key that one side has; `on1` says which. */
static __always_inline struct ms_base *base_of(void *key, bool on1)
{
	u32 zero = 0;
	void *clean;
	struct ms_base *b = bpf_map_lookup_elem(&base, key);
	long err;

	if (b)
		return b;
	clean = bpf_map_lookup_elem(&empty_base, &zero);
	if (!clean)
		return 0;
	err = bpf_map_update_elem(&base, key, clean, BPF_NOEXIST);
	if (err == -ENOMEM) /* the allocator of this CPU is refilled in a moment */
		stats.pending += phase == MS_PRECOPY || on1 != active1();
	else if (err)
		stats.base_full++;
	return err ? 0 : bpf_map_lookup_elem(&base, key);
}

/* A key that base does not know is new, if it is still there; before the swap only side 0 says so. */
static __always_inline bool known_or_new(void *key)
{
	if (bpf_map_lookup_elem(&base, key))
		return true;
	if (value0(key))
		return base_of(key, false);
	return phase != MS_PRECOPY && value1(key) && base_of(key, true);
}

static long take_written(u32 i, void *ctx)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&written_key, &zero);

	if (!key || !pop_written(taken, key, key_size))
		return 1;
	taken++;
	/* An array that grew or shrank has a tail that only its own passes judge. */
	if (arrays && !(value0(key) && value1(key)))
		return 0;
	if (!known_or_new(key))
		return 0;
	/* It need not be looked for among the keys that passes find changed: its next write will be seen as well. */
	forget_hot = true;
	sync_key(key);
	forget_hot = false;
	return 0;
}

static __always_inline void take_meanwhile(u64 visited)
{
	if (following && visited % MS_TAKE_EACH == 0)
		bpf_loop(MS_TAKE_EACH, take_written, 0, 0);
}

#endif
