/* SPDX-License-Identifier: GPL-2.0-only */
/* A key that is gone from one side or from both: what only a look at base can find. */
#ifndef MAPSHIFT_PRESENCE_H
#define MAPSHIFT_PRESENCE_H

#include "rebase.h"

/*
 * Syncs the key in walk_key. A presence that changed since base is left to walk_base, which knows whether the absence
 * has lasted for two passes. A global function, so that the verifier walks it once and not once for each way to it.
 */
__noinline int sync_taken_key(void)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walk_key, &zero), *v0, *v1;
	struct ms_base *b = key ? bpf_map_lookup_elem(&base, key) : 0;
	u64 *slot = b ? slot_of(b) : 0;

	if (!slot)
		return 0;
	if (__sync_val_compare_and_swap(&b->busy, 0, 1)) {
		b->dirty = 1;
		stats.contended++;
		return 0;
	}
	__sync_lock_test_and_set(&b->dirty, 0); /* before the values are read: who writes them later marks it again */
	v0 = staged ? staged0() : value0(key);
	v1 = staged ? staged1() : value1(key);
	if (*slot > MS_SLOT_SYNCED && !rebase(b, v0, v1)) {
		stats.pending += (*slot == MS_SLOT_REBASE0) == active1();
	} else if (v0 && v1) {
		reconcile(key, b, v0, v1);
	} else if (v0 && (!b->present || phase == MS_PRECOPY)) {
		if (b->present) /* lost on the new side, where absence is never a deletion yet (rule 4) */
			forget(b);
		create(key, b, v0, true);
	} else if (v1 && !b->present && phase != MS_PRECOPY) {
		create(key, b, v1, false);
	}
	b->busy = 0;
	return 0;
}

static __always_inline void sync_key(const void *key)
{
	if (take_key(key))
		sync_taken_key();
}

struct mark_job {
	struct ms_base *base;
	u32 state;
};

static long mark_slot(u32 cpu, struct mark_job *m)
{
	u64 *slot = slot_at(m->base, cpu);

	if (!slot)
		return 1;
	if (*slot == MS_SLOT_SYNCED)
		*slot = m->state;
	return 0;
}

/*
 * Where the old values add up to one new value: what is left on side 1 is to lose base once, not once for each CPU, and what is
 * left on side 0 has no base on side 1 any more.
 */
static long mark_sharing_slot(u32 cpu, struct mark_job *m)
{
	u64 *slot = slot_at(m->base, cpu), *of1;

	if (!slot)
		return 1;
	if (m->state == MS_SLOT_REBASE1) {
		clear_slot0(slot);
		if (!cpu)
			*slot = MS_SLOT_REBASE1;
		return 0;
	}
	if (*slot == MS_SLOT_SYNCED)
		*slot = m->state;
	of1 = slot1(slot);
	bpf_loop(ROUND8(size1) / 8, clear_word, &of1, 0);
	return 0;
}

/* Of a key that the new map has no more. A second old map follows where there is a way back to it. */
static __always_inline void drop_old(void *key)
{
	bpf_map_delete_elem(&side0, key);
	if (has_with_down)
		bpf_map_delete_elem(&with, key);
}

static __always_inline void drop_key(void *key, struct ms_base *b, bool on1)
{
	void *there = on1 ? as_key1(key) : key;

	if (on1 && there)
		bpf_map_delete_elem(&side1, there);
	else if (!on1)
		drop_old(key);
	forget(b);
	stats.deleted++;
}

/*
 * The key is gone from the other side for good, `on1` still has it.
 *
 * Deleted on the active side: that wins (rule 5), and what moved on the passive side since base is dropped, counted,
 * unless the map keeps deltas. Gone from the passive side of an LRU map: evicted, so made again (rule 9). Else it was
 * deleted there: that wins while the active side still equals base; when it changed, the deletion took only the old
 * count; a sum that fell says that the key is a new incarnation, of which nothing was ever on the passive side (rule 6).
 *
 * True: the key is to be made again from the side that has it.
 */
static __always_inline bool only_on(void *key, struct ms_base *b, bool on1)
{
	struct mark_job m = {b, on1 ? MS_SLOT_REBASE1 : MS_SLOT_REBASE0};
	bool passive_left = active1() != on1;
	/* Without a way down nothing can be taken out of an old value. */
	bool take_out = verdict.changed && !verdict.fell && (on1 || !transformed || has_down);

	if (passive_left) {
		if (!keep_delta || !take_out || !verdict.rose) {
			stats.dropped_deltas += verdict.changed;
			drop_key(key, b, on1);
			return false;
		}
	} else if (on1 ? lru0 : lru1) {
		take_out = false;
	} else {
		stats.from_passive++;
		if (!verdict.changed) {
			drop_key(key, b, on1);
			return false;
		}
	}
	if (take_out) {
		if (adds_up())
			bpf_loop(nr_cpus, mark_sharing_slot, &m, 0);
		else
			bpf_loop(nr_cpus, mark_slot, &m, 0);
		b->rebase = 1;
		b->present = 0;
	} else {
		forget(b);
	}
	return true;
}

/* What became of a side since base, in `verdict`. */
static __noinline int judge0(void *key, struct ms_base *b)
{
	struct judgement g = {.key = key, .base = b};

	start_judging();
	if (b && key)
		bpf_loop(nr_cpus, judge_cpu0, &g, 0);
	return 0;
}

static __noinline int judge1(void *key, struct ms_base *b)
{
	struct judgement g = {.key = key, .base = b};

	start_judging();
	if (b && key)
		bpf_loop(nr_cpus, judge_cpu1, &g, 0);
	return 0;
}

static __always_inline void judge_passive(void *key, struct ms_base *b)
{
	if (active1())
		judge0(key, b);
	else
		judge1(key, b);
}

/*
 * The active side deleted the key: nothing waits to be moved there, unless what moved on the passive side since base is to
 * make it anew. A reader that drains the active side deletes all the time.
 */
static __always_inline bool delta_waits(void *key, struct ms_base *b)
{
	if (!keep_delta || (active1() && transformed && !has_down))
		return false;
	judge_passive(key, b);
	return verdict.rose && !verdict.fell;
}

/* The visits that run on the CPUs of this key, in the next pass, have something for the active side. */
static __always_inline bool visits_wait(void *key, struct ms_base *b, bool gone0, bool gone1)
{
	if (phase == MS_PRECOPY)
		return true;
	if (b->rebase)
		return active1() ? gone1 : gone0;
	if (!b->present) /* evicted: nobody waits for it */
		return false;
	judge_passive(key, b);
	return verdict.changed;
}

/* True: the key is to be made again from the side that has it. */
static __always_inline bool act_on_absence(void *key, struct ms_base *b, bool gone0, bool gone1)
{
	if (gone0 && gone1) {
		forget(b);
		stats.deleted++;
		return false;
	}
	if (phase != MS_PRECOPY) {
		if (gone1)
			judge0(key, b);
		else
			judge1(key, b);
		return only_on(key, b, gone0);
	}
	stats.from_passive++;
	if (gone0) {
		drop_key(key, b, true);
		return false;
	}
	forget(b); /* absence on the new side is never a deletion yet (rule 4) */
	return true;
}

/* Absent in this pass: is it the second in a row? A visit in between, also of a pass that skipped base, breaks it. */
static __always_inline bool first_miss(u32 *miss, u32 seen)
{
	if (*miss && (s32)(seen - *miss) <= 0)
		return false;
	*miss = pass_number;
	return true;
}

/* No one has the key, or no one had it yet. What was to be taken out of a key that is gone must not meet the next one. */
static __always_inline void visit_tombstone(void *key, struct ms_base *b)
{
	stats.tombstones++;
	if (b->rebase && b->seen0 != pass_number && b->seen1 != pass_number && !value0(key) && !value1(key))
		forget(b);
}

static long visit_base(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	bool gone0, gone1, again = false, wait = false, evicting = active1() ? lru0 : lru1;

	stats.visited_base++;
	if ((staged || key_size1) && !take_key(key))
		return 0;
	if (!b->present) {
		visit_tombstone(key, b);
		return 0;
	}
	stats.present++;
	/* A pass can miss a key that is being replaced, so look again: twice, for a lookup can miss it as well. */
	gone0 = b->seen0 != pass_number && !value0(key);
	gone1 = complete && b->seen1 != pass_number && !value1(key);
	if (!gone0 && !gone1) {
		b->miss0 = b->miss1 = 0;
		again = b->seen0 != pass_number || (complete && b->seen1 != pass_number);
	} else {
		/* One absence proves nothing (rule 8); two sides that both miss a key do. */
		if (!(gone0 && gone1)) {
			wait |= gone0 && first_miss(&b->miss0, b->seen0);
			wait |= gone1 && first_miss(&b->miss1, b->seen1);
		}
		if (!wait)
			again = act_on_absence(key, b, gone0, gone1);
		else if (phase == MS_PRECOPY || (gone0 == active1() ? !evicting : delta_waits(key, b)))
			stats.pending++;
	}
	if (again && percpu)
		stats.pending += visits_wait(key, b, gone0, gone1);
	else if (again)
		sync_key(key);
	return 0;
}

/* Rule 10: entries are freed here only, while no sync can run. */
static long sweep_one(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	if (!b->present && b->seen0 != pass_number && b->seen1 != pass_number)
		bpf_map_delete_elem(&base, key);
	return 0;
}

#endif
