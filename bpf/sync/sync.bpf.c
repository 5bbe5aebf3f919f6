/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sync engine: reconciles two maps field by field against a common ancestor (base).
 *
 * The invariant that everything rests on: for each key and field, base holds on each side what that side held when it
 * was last reconciled, including what the engine itself wrote there. So `value - base` is exactly what others did since.
 *
 * One pass thread runs these programs, one at a time (rule 10: nothing else can hold an entry of base, but for a handler
 * that sets its `dirty` mark). Writers on all CPUs work on both maps meanwhile.
 *
 * tables.h   the maps, the field table, arguments; access to a field by side
 * arms.h     unions whose discriminator says what they hold
 * convert.h  one scalar from one layout to the other; comparing a value with base
 * merge.h    one field of both sides      reconcile.h both sides have the key
 * create.h   one side has it, the other never had
 * presence.h one side lost it             rebase.h    what a side did since base
 * verify.h   comparing without writing
 * keys.h     the key of each side
 * written.h  what a handler saw written   staged.h   values with a lock
 * transform.h  values that the module's author converts   with.h  of two old maps
 */
#include "presence.h"
#include "verify.h"
#include "written.h"

char LICENSE[] SEC("license") = "GPL";

/* The pass meets the key on side 0. True: it must be synced. */
static __always_inline bool due0(void *key, const void *value, struct ms_base **found)
{
	struct ms_base *b = base_of(key, false);
	u64 *slot;

	stats.visited0++;
	*found = b;
	if (!b)
		return false;
	b->seen0 = pass_number;
	slot = slot_of(b);
	if (!slot)
		return false;
	return !b->present || *slot != MS_SLOT_SYNCED || changed0(value, slot0(slot));
}

static __always_inline bool due1(void *key, const void *value, struct ms_base **found)
{
	struct ms_base *b;
	u64 *slot;

	stats.visited1++;
	if (!key) { /* it has no counterpart */
		stats.no_key0 += phase != MS_PRECOPY;
		return false;
	}
	/* Before the swap nobody but the engine writes side 1: a key that base does not know is not ours to judge. */
	b = phase == MS_PRECOPY ? bpf_map_lookup_elem(&base, key) : base_of(key, true);
	*found = b;
	if (!b)
		return false;
	b->seen1 = pass_number;
	slot = slot_of(b);
	if (!slot || phase == MS_PRECOPY)
		return false;
	/* The tail of an array that grew: nothing to carry over while it is as empty as its base. */
	return !(arrays || (b->present && *slot == MS_SLOT_SYNCED)) || changed1(value, base1(b, slot));
}

/* What base is compared with, to see whether the key changed: of a staged value a copy, made without the lock. */
static __always_inline void *copied0(void *key, const void *value)
{
	u32 zero = 0;
	void *copy = bpf_map_lookup_elem(&walk0, &zero), *given = bpf_map_lookup_elem(&given0, &zero);

	if (!copy || !given)
		return 0;
	if (!transformed)
		return bpf_probe_read_kernel(copy, size0, value) ? 0 : copy;
	if (bpf_probe_read_kernel(given, raw_size0, value))
		return 0;
	take_with(key, given);
	return make_image(&walk0) ? copy : 0;
}

static __always_inline void *compared0(void *key, void *value)
{
	return !staged || !value ? value : copied0(key, value);
}

static __always_inline void *compared1(void *value)
{
	u32 zero = 0;
	void *copy;

	if (!staged || !value)
		return value;
	copy = bpf_map_lookup_elem(&walk1, &zero);
	return copy && !bpf_probe_read_kernel(copy, size1, value) ? copy : 0;
}

static long visit0(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct ms_base *b;

	if (!on_target_cpu())
		value = find0(key, target_cpu);
	value = compared0(key, value);
	if (value && due0(key, value, &b))
		sync_key(key);
	take_meanwhile(stats.visited0);
	return 0;
}

static long visit1(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct ms_base *b;

	if (!on_target_cpu())
		value = own_value1(key, target_cpu);
	value = compared1(value);
	key = as_key0(key);
	if (value && due1(key, value, &b))
		sync_key(key);
	take_meanwhile(stats.visited1);
	return 0;
}

/*
 * The same walks in slices, by an iterator that user space reads: bpf_for_each_map_elem holds its CPU for the whole map
 * where the kernel does not preempt. A value comes as a buffer whose fields cannot be addressed by the table, so it is
 * copied, and looked up again when it must be synced. A byte each MS_SLICE_STEP keys ends a read at its length.
 */
struct walk_meta {
	struct seq_file *seq;
};

struct walk_context { /* bpf_iter__bpf_map_elem of the kernel, unchanged since 5.9 */
	__bpf_md_ptr(struct walk_meta *, meta);
	__bpf_md_ptr(struct bpf_map *, map);
	__bpf_md_ptr(void *, key);
	__bpf_md_ptr(void *, value);
};

static __always_inline void end_slice(struct walk_context *ctx, u64 visited)
{
	u8 byte = 0;

	if (visited % MS_SLICE_STEP == 0)
		bpf_seq_write(ctx->meta->seq, &byte, 1);
}

SEC("iter/bpf_map_elem") int slice_side0(struct walk_context *ctx)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walk_key, &zero), *value;
	struct ms_base *b;

	if (!ctx->key || !ctx->value || !key)
		return 0;
	bpf_probe_read_kernel(key, key_size, ctx->key);
	value = copied0(key, ctx->value);
	if (value && due0(key, value, &b))
		sync_key(key);
	take_meanwhile(stats.visited0);
	end_slice(ctx, stats.visited0);
	return 0;
}

SEC("iter/bpf_map_elem") int slice_side1(struct walk_context *ctx)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walked1, &zero), *value = bpf_map_lookup_elem(&walk1, &zero);
	struct ms_base *b;

	if (!ctx->key || !ctx->value || !key || !value)
		return 0;
	bpf_probe_read_kernel(key, key_size1 ? key_size1 : key_size, ctx->key);
	bpf_probe_read_kernel(value, size1, ctx->value);
	key = as_key0(key);
	if (due1(key, value, &b))
		sync_key(key);
	take_meanwhile(stats.visited1);
	end_slice(ctx, stats.visited1);
	return 0;
}

SEC("iter/bpf_map_elem") int slice_base(struct walk_context *ctx)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walk_key, &zero);
	struct ms_base *b = ctx->value;

	if (!ctx->key || !b || !key)
		return 0;
	if (b->present && b->seen0 == pass_number && (!complete || b->seen1 == pass_number) && !b->miss0 && !b->miss1) {
		stats.visited_base++;
		stats.present++;
	} else {
		bpf_probe_read_kernel(key, key_size, ctx->key);
		b = bpf_map_lookup_elem(&base, key);
		if (b)
			visit_base(0, key, b, 0);
	}
	end_slice(ctx, stats.visited_base);
	return 0;
}

/* Rule 12: what an agent that died may have left locked; and the number of its last pass. */
static long unlock_one(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	b->busy = b->dirty = 0;
	if ((s32)(b->seen0 - pass_number) > 0)
		pass_number = b->seen0;
	if ((s32)(b->seen1 - pass_number) > 0)
		pass_number = b->seen1;
	return 0;
}

static long visit_hot(u32 i, void *ctx)
{
	u32 at = (hot_from & 1) * hot_half + hot_begin + i;
	void *key = bpf_map_lookup_elem(&hot_keys, &at);

	if (key)
		sync_key(key);
	return 0;
}

/*
 * Each order makes calls of its own: the compiler would make one of several, and before Linux 6.10 a call may walk one map
 * only, whichever way led to it.
 */
#define OWN_CALL(number) asm volatile("" : : "i"(number))

#define WALK(map, visit, number)                              \
	do {                                                  \
		bpf_for_each_map_elem(&map, visit, 0, 0);     \
		OWN_CALL(number);                             \
	} while (0)

#define REPEAT(times, visit, number)                          \
	do {                                                  \
		bpf_loop(times, visit, 0, 0);                 \
		OWN_CALL(number);                             \
	} while (0)

/*
 * All walks are one program: what they share, nearly all of it, is verified, patched and compiled once. As a program for each
 * they took four to seven times as long to load.
 */
SEC("syscall") int engine(void *ctx)
{
	switch (order) {
	case MS_WALK_SIDE0:
		if (!sliced)
			WALK(side0, visit0, 0);
		break;
	case MS_WALK_SIDE1:
		if (!sliced)
			WALK(side1, visit1, 1);
		break;
	case MS_WALK_BASE:
		if (!sliced)
			WALK(base, visit_base, 2);
		break;
	case MS_WALK_HOT:
		REPEAT(hot_end - hot_begin, visit_hot, 3);
		break;
	case MS_TAKE_WRITTEN:
		REPEAT(take_at_most, take_written, 4);
		break;
	case MS_SWEEP:
		WALK(base, sweep_one, 5);
		break;
	case MS_UNLOCK:
		WALK(base, unlock_one, 6);
		break;
	case MS_VERIFY:
		WALK(side0, verify_one, 7);
		WALK(side1, verify_extra, 8);
		break;
	case MS_VERIFY_AGAIN:
		REPEAT(suspected, verify_suspect, 9);
		break;
	}
	return 0;
}
