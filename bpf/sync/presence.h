/* SPDX-License-Identifier: GPL-2.0-only */
/* A key that is gone from one side or from both: what only a look at base can find. */
#ifndef MAPSHIFT_PRESENCE_H
#define MAPSHIFT_PRESENCE_H

#include "create.h"
#include "merge.h"

static long clear_base_word(u32 i, struct ms_base **b)
{
	if (i >= nr_cpus * SLOT_SIZE / 8)
		return 1;
	((u64 *)(*b + 1))[i] = 0;
	return 0;
}

/* Presence and values go together (rule 7). The entry stays, as a tombstone, until `sweep`. */
static __always_inline void forget(struct ms_base *b)
{
	bpf_loop(nr_cpus * SLOT_SIZE / 8, clear_base_word, &b, 0);
	b->present = b->rebase = 0;
	b->miss0 = b->miss1 = 0;
}

static long clear_slot_word(u32 i, u64 **slot)
{
	if (i >= SLOT_SIZE / 8)
		return 1;
	(*slot)[i] = 0;
	return 0;
}

/* Its state and what it holds of side 0. */
static __always_inline void clear_slot0(u64 *slot)
{
	bpf_loop(1 + ROUND8(size0) / 8, clear_slot_word, &slot, 0);
}

static long clear_word(u32 i, u64 **of1)
{
	if (i >= ROUND8(size1) / 8)
		return 1;
	(*of1)[i] = 0;
	return 0;
}

/* What became of the side that still has the key, since base. */
struct judgement {
	void *key;
	struct ms_base *base;
	void *v, *b;
};

struct ms_verdict verdict; /* not on the stack, as `work` */

static __always_inline void start_judging(void)
{
	verdict.changed = verdict.rose = verdict.fell = verdict.failed = 0;
}

static __always_inline long judge_field(u32 i, struct judgement *g, bool side)
{
	const volatile struct ms_field *f;
	u64 now, was;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	now = get(f, g->v, side);
	was = get(f, g->b, side);
	if (now == was)
		return 0;
	verdict.changed = 1;
	if (f->op == MS_OP_SUM) {
		if ((s64)moved_by(f, now, was, side) < 0)
			verdict.fell = 1;
		else
			verdict.rose = 1;
	}
	return 0;
}

static long judge_field0(u32 i, struct judgement *g)
{
	return judge_field(i, g, false);
}

static long judge_field1(u32 i, struct judgement *g)
{
	return judge_field(i, g, true);
}

/* The value itself, or a copy of walk_key's where it is staged. */
static __always_inline void *judged0(void *key, u32 cpu)
{
	return staged ? staged0() : find0(key, cpu);
}

static __always_inline void *judged1(void *key, u32 cpu)
{
	return staged ? staged1() : find1(key, cpu);
}

static long judge_cpu0(u32 cpu, struct judgement *g)
{
	u64 *slot = slot_at(g->base, cpu);

	if (!slot)
		return 1;
	g->v = judged0(g->key, cpu);
	g->b = slot0(slot);
	if (g->v)
		each_field(judge_field0, g);
	return 0;
}

static long judge_cpu1(u32 cpu, struct judgement *g)
{
	u64 *slot = slot_at(g->base, cpu);

	if (!slot || (cpu && adds_up()))
		return 1;
	g->v = judged1(g->key, cpu);
	g->b = slot1(slot);
	if (g->v)
		each_field(judge_field1, g);
	return 0;
}

/* Takes base out of a sum, and out of base, so that what could not be done now is all that is left to do. */
static __always_inline long rebase_field(u32 i, struct judgement *g, bool side)
{
	const volatile struct ms_field *f;
	u64 was;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (f->op != MS_OP_SUM)
		return 0;
	was = get(f, g->b, side);
	if (f->flags & MS_F_PLAIN)
		set(f, g->v, side, get(f, g->v, side) - was);
	else if (!atomic_add(g->v, FIELD_OFF(f, side), FIELD_SIZE(f, side), VALUE_SIZE(side), -was)) {
		verdict.failed = 1;
		return 1;
	}
	if (!staged)
		set(f, g->b, side, 0);
	return 0;
}

/* Staged: base leaves as far as the side was really written. */
static __always_inline long rebased_field(u32 i, struct staged_job *s, bool side)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (f->op != MS_OP_SUM)
		return 0;
	if (transformed && !side && work.partial) {
		set(f, slot0(s->slot), side, get(f, slot0(s->slot), side) - get(f, s->was0, side) + get(f, s->after0, side));
		verdict.failed = 1;
	} else if ((transformed && !side) || get(f, side ? s->after1 : s->after0, side) == get(f, side ? s->now1 : s->now0, side)) {
		set(f, side ? slot1(s->slot) : slot0(s->slot), side, 0);
	} else {
		verdict.failed = 1;
	}
	return 0;
}

static long rebased_field0(u32 i, struct staged_job *s)
{
	return rebased_field(i, s, false);
}

static long rebased_field1(u32 i, struct staged_job *s)
{
	return rebased_field(i, s, true);
}

static __always_inline int apply_rebase(u64 *slot, bool on1)
{
	struct staged_job s = {};
	u32 zero = 0;

	if (!slot || !open_stage(&s))
		return 0;
	s.slot = slot;
	work.defaulted = work.partial = 0;
	work.moved1 = 1;
	if (on1) {
		apply1();
		each_field(rebased_field1, &s);
		bpf_map_update_elem(&was1, &zero, s.now1, BPF_ANY);
	} else {
		apply0();
		each_field(rebased_field0, &s);
		if (transformed) {
			void *arrived = bpf_map_lookup_elem(&arrived0, &zero);

			if (arrived)
				bpf_map_update_elem(&raw0, &zero, arrived, BPF_ANY);
			bpf_map_update_elem(&now0, &zero, s.after0, BPF_ANY);
		}
		bpf_map_update_elem(&was0, &zero, s.now0, BPF_ANY);
	}
	return 0;
}

static long rebase_field0(u32 i, struct judgement *g)
{
	return rebase_field(i, g, false);
}

static long rebase_field1(u32 i, struct judgement *g)
{
	return rebase_field(i, g, true);
}

/*
 * A deletion on one side took only the old count: base leaves the sums of the side that is left, and the slot is new.
 * A sum that fell since says that the key was made anew, of which base holds nothing. False: not all could be taken out.
 */
static __noinline bool rebase(struct ms_base *b, void *v0, void *v1)
{
	u64 *slot = b ? slot_of(b) : 0;
	struct judgement g = {};

	if (!slot)
		return true;
	start_judging();
	if (*slot == MS_SLOT_REBASE0 && v0) {
		g.v = v0;
		g.b = slot0(slot);
		each_field(judge_field0, &g);
		if (!verdict.fell && (!transformed || has_down)) {
			each_field(rebase_field0, &g);
			if (staged)
				apply_rebase(slot, false);
		}
	} else if (*slot == MS_SLOT_REBASE1 && v1) {
		g.v = v1;
		g.b = base1(b, slot);
		each_field(judge_field1, &g);
		if (!verdict.fell) {
			each_field(rebase_field1, &g);
			if (staged)
				apply_rebase(slot, true);
		}
	}
	if (verdict.failed)
		return false;
	if (adds_up() && *slot == MS_SLOT_REBASE0) /* what the first slot holds of side 1 may be new already */
		clear_slot0(slot);
	else
		bpf_loop(SLOT_SIZE / 8, clear_slot_word, &slot, 0);
	return true;
}

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
		stats.pending++;
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

static __always_inline void drop_key(void *key, struct ms_base *b, bool on1)
{
	void *there = on1 ? as_key1(key) : key;

	if (on1 && there)
		bpf_map_delete_elem(&side1, there);
	else if (!on1)
		bpf_map_delete_elem(&side0, key);
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
	bool passive_left = active1() != on1, take_out = verdict.changed && !verdict.fell;

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

static __noinline bool only_on0(void *key, struct ms_base *b)
{
	struct judgement g = {.key = key, .base = b};

	if (!b || !key)
		return false;
	start_judging();
	bpf_loop(nr_cpus, judge_cpu0, &g, 0);
	return only_on(key, b, false);
}

static __noinline bool only_on1(void *key, struct ms_base *b)
{
	struct judgement g = {.key = key, .base = b};

	if (!b || !key)
		return false;
	start_judging();
	bpf_loop(nr_cpus, judge_cpu1, &g, 0);
	return only_on(key, b, true);
}

/* True: the key is to be made again from the side that has it. */
static __always_inline bool act_on_absence(void *key, struct ms_base *b, bool gone0, bool gone1)
{
	if (gone0 && gone1) {
		forget(b);
		stats.deleted++;
		return false;
	}
	if (phase != MS_PRECOPY)
		return gone1 ? only_on0(key, b) : only_on1(key, b);
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
		else if (phase == MS_PRECOPY || (gone0 == active1() ? !evicting : keep_delta))
			stats.pending++;
	}
	if (again && percpu) /* by the visits that run on its CPUs, in the next pass; what was evicted nobody waits for */
		stats.pending += b->present || b->rebase || phase == MS_PRECOPY;
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
