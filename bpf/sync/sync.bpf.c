/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sync engine: reconciles two maps field by field against a common ancestor (base).
 *
 * The invariant that everything rests on: for each key and field, base holds on each side what that side held when it
 * was last reconciled, including what the engine itself wrote there. So `value - base` is exactly what others did since.
 *
 * One pass thread runs these programs, one at a time (rule 10: nothing else can hold an entry of base). Writers on all
 * CPUs work on both maps meanwhile.
 *
 * tables.h   the maps, the field table, arguments; access to a field by side
 * convert.h  one scalar from one layout to the other; comparing a value with base
 * merge.h    both sides have the key      create.h    one side has it, the other never had
 * presence.h one side lost it             verify.h    comparing without writing
 */
#include "presence.h"
#include "verify.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline struct ms_base *base_of(void *key)
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
		stats.pending++;
	else if (err)
		stats.base_full++;
	return err ? 0 : bpf_map_lookup_elem(&base, key);
}

static long visit0(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct ms_base *b = base_of(key);
	u64 *slot;

	stats.visited0++;
	if (!b)
		return 0;
	b->seen0 = pass_number;
	slot = slot_of(b);
	if (!slot)
		return 0;
	if (!on_target_cpu()) {
		value = find0(key, target_cpu);
		if (!value)
			return 0;
	}
	if (b->present && *slot == MS_SLOT_SYNCED && !changed0(value, slot))
		return 0;
	sync_key(key, b, value, 0);
	return 0;
}

static long visit1(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct ms_base *b;
	u64 *slot;

	stats.visited1++;
	/* Before the swap nobody but the engine writes side 1: a key that base does not know is not ours to judge. */
	b = phase == MS_PRECOPY ? bpf_map_lookup_elem(&base, key) : base_of(key);
	if (!b)
		return 0;
	b->seen1 = pass_number;
	if (phase == MS_PRECOPY)
		return 0;
	slot = slot_of(b);
	if (!slot)
		return 0;
	if (!on_target_cpu()) {
		value = find1(key, target_cpu);
		if (!value)
			return 0;
	}
	/* The tail of an array that grew: nothing to carry over while it is as empty as its base. */
	if ((arrays || (b->present && *slot == MS_SLOT_SYNCED)) && !changed1(value, slot))
		return 0;
	sync_key(key, b, 0, value);
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
	struct ms_base *b;

	if (!key)
		return 0;
	b = bpf_map_lookup_elem(&base, key);
	if (b)
		sync_key(key, b, 0, 0);
	return 0;
}

SEC("syscall") int walk_verify(void *ctx)
{
	bpf_for_each_map_elem(&side0, verify_one, 0, 0);
	return 0;
}

SEC("syscall") int walk_verify_extra(void *ctx)
{
	bpf_for_each_map_elem(&side1, verify_extra, 0, 0);
	return 0;
}

SEC("syscall") int walk_side0(void *ctx)
{
	bpf_for_each_map_elem(&side0, visit0, 0, 0);
	return 0;
}

SEC("syscall") int walk_side1(void *ctx)
{
	bpf_for_each_map_elem(&side1, visit1, 0, 0);
	return 0;
}

SEC("syscall") int walk_base(void *ctx)
{
	bpf_for_each_map_elem(&base, visit_base, 0, 0);
	return 0;
}

SEC("syscall") int walk_hot(void *ctx)
{
	bpf_loop(hot_end - hot_begin, visit_hot, 0, 0);
	return 0;
}

SEC("syscall") int sweep(void *ctx)
{
	bpf_for_each_map_elem(&base, sweep_one, 0, 0);
	return 0;
}

SEC("syscall") int unlock(void *ctx)
{
	bpf_for_each_map_elem(&base, unlock_one, 0, 0);
	return 0;
}
