/* SPDX-License-Identifier: GPL-2.0-only */
/* Reconciling the two values of one key, field by field, against base. */
#ifndef MAPSHIFT_MERGE_H
#define MAPSHIFT_MERGE_H

#include "staged.h"

/* The two values of the key at work, and what base holds of them. */
struct job {
	void *v0, *v1;
	void *b0, *b1;
};

static __always_inline void start_job(u64 *slot)
{
	work.group0 = work.group1 = work.differs = work.wide = work.failed_groups = 0;
	work.fresh = *slot != MS_SLOT_SYNCED;
	work.only0 = work.only1 = work.moved0 = work.moved1 = 0;
	work.clamped = work.failed = work.unsafe = work.risky = work.defaulted = work.partial = work.undeclared = 0;
}

/* Wider than an instruction writes at once, and no lock. */
static __always_inline bool no_safe_write(const volatile struct ms_field *f, bool side)
{
	return f->flags & MS_F_WIDE && LOCK(side) == MS_NO_LOCK;
}

/* ---- before the swap: side 1 is written by nobody else ---- */

/* A first visit carries the whole value, which is no delta: it may be above half of the counter's range. */
static __always_inline u64 sum_delta(const volatile struct ms_field *f, u64 now, u64 was, bool side)
{
	if (work.fresh && !was && !FIELD_SIGNED(f, side))
		return FIELD_SIZE(f, !side) < FIELD_SIZE(f, side) && (s64)now < 0 ? ~0ull >> 1 : now;
	return moved_by(f, now, was, side);
}

static long precopy_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, bx, next, recorded;
	bool whole;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, &work.alive0))
		return 0;
	whole = is_switched(f, &work.alive0, &work.alive_base);
	x = held(f, j->v0, &work.alive0, false);
	bx = get(f, j->b0, false);
	if (!work.fresh && !whole && x == bx)
		return 0;
	if (f->op == MS_OP_SUM && !whole && (!work.fresh || adds_up())) {
		u64 y = get(f, j->v1, true), delta = fitting_delta(f, y, sum_delta(f, x, bx, false), &work.clamped);

		next = y + delta;
		recorded = get(f, j->b1, true) + delta;
	} else {
		next = recorded = to_side1(f, x, &work.clamped);
	}
	set(f, j->v1, true, next);
	set(f, j->b1, true, recorded);
	set(f, j->b0, false, x);
	work.moved0 = 1;
	return 0;
}

/* ---- both sides may be written by others ---- */

static long scan_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, y, bit;
	bool alive0, alive1, whole;
	u8 ignored = 0;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	bit = 1ull << (f->group & 63);
	alive0 = is_alive(f, &work.alive0);
	alive1 = is_alive(f, &work.alive1);
	if (!alive0 && !alive1)
		return 0;
	if (no_safe_write(f, active1()) && (f->op == MS_OP_LATEST || alive0 != alive1))
		work.wide |= bit;
	if (f->op != MS_OP_LATEST || alive0 != alive1) /* of arms that differ the discriminators tell */
		return 0;
	x = held(f, j->v0, &work.alive0, false);
	y = held(f, j->v1, &work.alive1, true);
	whole = is_switched(f, &work.alive0, &work.alive_base);
	/* Without an ancestor both sides made the key: both changed. The slots of other CPUs are zero until used. */
	if ((!whole && x != get(f, j->b0, false)) || (work.fresh && !percpu))
		work.group0 |= bit;
	if ((!whole && y != get(f, j->b1, true)) || (work.fresh && !percpu))
		work.group1 |= bit;
	if (to_side1(f, x, &ignored) != y)
		work.differs |= bit;
	return 0;
}

/*
 * Puts `next` where `expect` was, by compare-and-swap: the active side's programs may have written meanwhile (rule 2),
 * and so may the last ones of the passive side. False: the field keeps its value, base must stay, and the next visit
 * sees what happened.
 */
static __always_inline bool put(struct job *j, const volatile struct ms_field *f, u64 expect, u64 next, bool side)
{
	void *v = side ? j->v1 : j->v0;

	if (expect == next)
		return true;
	if (f->flags & MS_F_WIDE) {
		if (side == active1() && no_safe_write(f, side)) {
			work.unsafe = 1;
			return false;
		}
		set(f, v, side, next);
	} else if (!cas(v, FIELD_OFF(f, side), FIELD_SIZE(f, side), VALUE_SIZE(side), expect, next)) {
		work.failed = 1;
		return false;
	}
	if (side)
		work.moved0 = 1;
	else
		work.moved1 = 1;
	return true;
}

static __always_inline bool add(struct job *j, const volatile struct ms_field *f, u64 delta, bool side)
{
	void *v = side ? j->v1 : j->v0;

	if (f->flags & MS_F_PLAIN) {
		set(f, v, side, get(f, v, side) + delta);
		work.risky |= side == active1() && LOCK(side) == MS_NO_LOCK;
	} else if (!atomic_add(v, FIELD_OFF(f, side), FIELD_SIZE(f, side), VALUE_SIZE(side), delta)) {
		work.failed = 1;
		return false;
	}
	if (side)
		work.moved0 = 1;
	else
		work.moved1 = 1;
	return true;
}

static __always_inline void merge_sum(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 d0 = sum_delta(f, x, bx, false), d1 = sum_delta(f, y, by, true);

	if (d0) {
		d0 = fitting_delta(f, y, d0, &work.clamped);
		if (add(j, f, d0, true)) {
			bx = x;
			by += d0;
			set(f, j->b0, false, bx);
			set(f, j->b1, true, by);
		}
	}
	if (d1 && add(j, f, d1, false)) {
		set(f, j->b0, false, bx + d1);
		set(f, j->b1, true, by + d1);
	}
}

/* The active side wins a conflict, and against a passive change that no instruction could carry over whole. */
static __always_inline bool taken_from1(u64 bit)
{
	bool c0 = work.group0 & bit, c1 = work.group1 & bit;

	return (c0 && c1) || (work.wide & bit && (active1() ? c0 : c1)) ? active1() : c1;
}

/*
 * A value may change between the scan and here. What the scan found unchanged is expected to be still base, so that a
 * newer value is never written over.
 */
static __always_inline void merge_latest(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 bit = 1ull << (f->group & 63), next;
	bool c0 = work.group0 & bit, c1 = work.group1 & bit;

	if ((!c0 && !c1) || work.failed_groups & bit)
		return;
	if (taken_from1(bit)) {
		next = to_side0(f, y, &work.clamped);
		if (put(j, f, c0 ? x : bx, next, false)) {
			set(f, j->b0, false, next);
			set(f, j->b1, true, y);
			return;
		}
	} else {
		next = to_side1(f, x, &work.clamped);
		if (put(j, f, c1 ? y : by, next, true)) {
			set(f, j->b0, false, x);
			set(f, j->b1, true, next);
			return;
		}
	}
	work.failed_groups |= bit;
}

/*
 * A field of an arm that one side does not have, or that both took since base: there is no ancestor, and it goes where the
 * discriminator goes. True: nothing else is to be done with it.
 */
static __always_inline bool switch_arm(struct job *j, const volatile struct ms_field *f, u64 x, u64 y)
{
	bool alive0 = is_alive(f, &work.alive0), alive1 = is_alive(f, &work.alive1);

	if (!in_arm(f))
		return false;
	if (alive0 && alive1 && (work.fresh || !is_switched(f, &work.alive0, &work.alive_base)))
		return false;
	if (taken_from1(1ull << (f->group & 63)) ? alive1 : alive0)
		merge_latest(j, f, x, y, x, y);
	return true;
}

/* `a` stands after `b` in the order that the field's merge climbs. */
static __always_inline bool beyond(const volatile struct ms_field *f, u64 a, u64 b, bool side)
{
	u8 size = FIELD_SIZE(f, side);
	bool greater = FIELD_SIGNED(f, side) ? sign_extend(a, size) > sign_extend(b, size) : a > b;

	return f->op == MS_OP_MAX ? greater : (a != b && !greater);
}

/* The join as side 1 writes it: of both sides, unless one was reset since base: then the reset side wins. */
static __always_inline u64 join(struct job *j, const volatile struct ms_field *f, u64 x1, u64 x, u64 y, u64 bx, u64 by)
{
	bool reset0 = false, reset1 = false;

	if (f->op == MS_OP_OR) {
		if (!work.fresh) {
			reset0 = bx & ~x;
			reset1 = by & ~y;
		}
		if (reset0 && !reset1)
			return x1 | (y & ~by);
		if (reset1 && !reset0)
			return y | to_side1(f, x & ~bx, &work.clamped);
		return x1 | y;
	}
	if (!work.fresh) {
		reset0 = beyond(f, bx, x, false);
		reset1 = beyond(f, by, y, true);
	}
	if (reset0 && !reset1)
		return y != by && beyond(f, y, x1, true) ? y : x1;
	if (reset1 && !reset0)
		return x != bx && beyond(f, x1, y, true) ? x1 : y;
	return beyond(f, x1, y, true) ? x1 : y;
}

/* max, min, or. Each side's base follows what that side holds, so a side that could not be written is joined again. */
static __always_inline void merge_join(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 x1, next0, next1;

	if (!work.fresh && x == bx && y == by)
		return;
	x1 = to_side1(f, x, &work.clamped);
	next1 = work.only0 ? x1 : work.only1 ? y : join(j, f, x1, x, y, bx, by);
	if (no_safe_write(f, true) && active1() && next1 != y) {
		work.unsafe = 1;
		next1 = y;
	}
	next0 = next1 == x1 ? x : to_side0(f, next1, &work.clamped);
	if (no_safe_write(f, false) && !active1() && next0 != x) {
		work.unsafe = 1;
		next0 = x;
		next1 = x1;
	}
	if (put(j, f, y, next1, true))
		set(f, j->b1, true, next1);
	if (put(j, f, x, next0, false))
		set(f, j->b0, false, next0);
}

/* Written when a key is created, and again only when the active side created it anew. */
static __always_inline void merge_first(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 next0 = x, next1 = y;
	bool take0 = work.only0, take1 = work.only1;

	if (!work.fresh && x == bx && y == by)
		return;
	if (!take0 && !take1) {
		take0 = !active1() && (work.fresh || x != bx);
		take1 = active1() && (work.fresh || y != by);
	}
	if (take0)
		next1 = to_side1(f, x, &work.clamped);
	else if (take1)
		next0 = to_side0(f, y, &work.clamped);
	if (put(j, f, y, next1, true) && put(j, f, x, next0, false)) {
		set(f, j->b0, false, next0);
		set(f, j->b1, true, next1);
	}
}

static long merge_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, y, bx, by;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	x = held(f, j->v0, &work.alive0, false);
	y = held(f, j->v1, &work.alive1, true);
	bx = get(f, j->b0, false);
	by = get(f, j->b1, true);
	if (nr_unions && switch_arm(j, f, x, y))
		return 0;
	switch (f->op) {
	case MS_OP_SUM:
		merge_sum(j, f, x, y, bx, by);
		break;
	case MS_OP_LATEST:
		merge_latest(j, f, x, y, bx, by);
		break;
	case MS_OP_FIRST:
		merge_first(j, f, x, y, bx, by);
		break;
	default:
		merge_join(j, f, x, y, bx, by);
	}
	return 0;
}

#endif
