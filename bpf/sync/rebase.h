/* SPDX-License-Identifier: GPL-2.0-only */
/* What a side did since base, field by field, and base taken out of its sums again. */
#ifndef MAPSHIFT_REBASE_H
#define MAPSHIFT_REBASE_H

#include "create.h"
#include "reconcile.h"

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
	if (!is_alive(f, &work.before))
		return 0;
	now = get(f, g->v, side);
	was = get(f, g->b, side);
	if (now == was)
		return 0;
	verdict.changed = 1;
	if (f->op == MS_OP_SUM && !is_switched(f, &work.before, &work.alive_base)) {
		if ((s64)moved_by(f, now, was, side) < 0)
			verdict.fell = 1;
		else
			verdict.rose = 1;
	}
	return 0;
}

/* Before the fields of one side are judged or taken out. */
static __always_inline void compare_arms(struct judgement *g, bool side)
{
	find_alive(&work.before, g->v, side);
	find_alive(&work.alive_base, g->b, side);
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
	target_cpu = cpu; /* of which copies are made; walks set their own */
	return staged ? staged0() : find0(key, cpu);
}

static __always_inline void *judged1(void *key, u32 cpu)
{
	target_cpu = cpu; /* of which copies are made; walks set their own */
	return staged ? staged1() : find1(key, cpu);
}

static long judge_cpu0(u32 cpu, struct judgement *g)
{
	u64 *slot = slot_at(g->base, cpu);

	if (!slot)
		return 1;
	g->v = judged0(g->key, cpu);
	g->b = slot0(slot);
	if (g->v) {
		compare_arms(g, false);
		each_field(judge_field0, g);
	}
	return 0;
}

static long judge_cpu1(u32 cpu, struct judgement *g)
{
	u64 *slot = slot_at(g->base, cpu);

	if (!slot || (cpu && adds_up()))
		return 1;
	g->v = judged1(g->key, cpu);
	g->b = slot1(slot);
	if (g->v) {
		compare_arms(g, true);
		each_field(judge_field1, g);
	}
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
	if (f->op != MS_OP_SUM || !is_alive(f, &work.before) || !is_alive(f, &work.alive_base))
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
	if (f->op != MS_OP_SUM || !is_alive(f, &work.before) || !is_alive(f, &work.alive_base))
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
		follow_down();
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
		compare_arms(&g, false);
		each_field(judge_field0, &g);
		if (!verdict.fell) {
			each_field(rebase_field0, &g);
			if (staged)
				apply_rebase(slot, false);
		}
	} else if (*slot == MS_SLOT_REBASE1 && v1) {
		g.v = v1;
		g.b = base1(b, slot);
		compare_arms(&g, true);
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

#endif
