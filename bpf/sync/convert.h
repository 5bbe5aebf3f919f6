/* SPDX-License-Identifier: GPL-2.0-only */
/* Carrying one scalar from one layout into the other. */
#ifndef MAPSHIFT_CONVERT_H
#define MAPSHIFT_CONVERT_H

#include "arms.h"

/*
 * What is found out about the key at work. Not on the stack: the verifier follows each byte there, and a handful of flags
 * would multiply the paths that it has to walk by 30. One pass thread, one key at a time.
 */
struct ms_work work;

bool remap_found; /* by remapped(): not on the stack, as `work` */

/*
 * A global function, which the verifier walks once: at each of the dozen places that carry a scalar, inside of a loop over
 * fields, the search doubled what it had to walk. A loop without a callback: the way from a walk to here is as deep as kernels
 * before 6.10 allow, which count 32 bytes of stack for each call.
 */
__noinline s64 remapped(u32 begin, u32 count, s64 value, u32 forward)
{
	u32 i, n;

	remap_found = false;
	for (i = 0; has_remap && i < MS_MAX_REMAPS; i++) {
		n = begin + i;
		asm volatile("" : "+r"(n)); /* or the compiler walks by a pointer, which the verifier cannot bound */
		if (i >= count || n >= MS_MAX_REMAPS)
			break;
		if ((forward ? remap0[n] : remap1[n]) == value) {
			remap_found = true;
			return forward ? remap1[n] : remap0[n];
		}
	}
	return value;
}

/* `v` of side `from` as the other side writes it. */
static __always_inline u64 carried(const volatile struct ms_field *f, u64 v, bool from, u8 *clamped)
{
	u8 size = FIELD_SIZE(f, from), to_size = FIELD_SIZE(f, !from);
	bool is_signed = FIELD_SIGNED(f, from), c = false;

	if (nr_unions && f->flags & MS_F_ZERO)
		return 0;
	if (has_remap && f->remap_count) {
		s64 next = remapped(f->remap, f->remap_count, is_signed ? sign_extend(v, size) : (s64)v, !from);

		if (remap_found)
			return truncate((u64)next, to_size);
	}
	v = convert(v, size, is_signed, to_size, FIELD_SIGNED(f, !from), &c);
	*clamped |= c;
	return v;
}

static __always_inline u64 to_side1(const volatile struct ms_field *f, u64 x, u8 *clamped)
{
	return carried(f, x, false, clamped);
}

static __always_inline u64 to_side0(const volatile struct ms_field *f, u64 y, u8 *clamped)
{
	return carried(f, y, true, clamped);
}

/*
 * A sum of side 1 as a new element of side 0 gets it: wrapped where it does not fit, as the old counter itself would
 * have, and as its deltas will.
 */
static __always_inline u64 sum_to_side0(const volatile struct ms_field *f, u64 y, u8 *clamped)
{
	return f->size0 < f->size1 ? truncate(y, f->size0) : to_side0(f, y, clamped);
}

/*
 * A delta of a sum that goes to a narrower counter of the new layout stops at its end instead of wrapping: the value
 * would not fit. `have` is the target's present value.
 */
static __always_inline u64 fitting_delta(const volatile struct ms_field *f, u64 have, u64 delta, u8 *clamped)
{
	const s64 far = 1ll << 62; /* beyond every counter that is narrower than another, and no overflow when added */
	bool is_signed = FIELD_SIGNED(f, true);
	s64 top, bottom, now, by = (s64)delta, sum;

	if (f->size1 >= f->size0)
		return delta;
	top = (s64)scalar_max(f->size1, is_signed);
	bottom = is_signed ? -top - 1 : 0;
	now = is_signed ? sign_extend(have, f->size1) : (s64)have;
	sum = now + (by > far ? far : by < -far ? -far : by);
	if (sum >= bottom && sum <= top)
		return delta;
	*clamped = 1;
	return (u64)((sum > top ? top : bottom) - now);
}

static long default_one(u32 i, void **v1)
{
	const volatile struct ms_default *d;

	if (i >= MS_MAX_DEFAULTS)
		return 1;
	d = &defaults1[i];
	store(*v1, d->off, d->size, size1, d->value);
	return 0;
}

/* Comparing a side with base: the fast path, nothing else is touched when nothing changed. */
struct compare_job {
	const void *v, *b;
	u32 differs;
};

static __always_inline long compare_field(u32 i, struct compare_job *c, bool side)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, side ? &work.alive1 : &work.alive0) || get(f, c->v, side) == get(f, c->b, side))
		return 0;
	c->differs = 1;
	return 1;
}

static long compare0(u32 i, struct compare_job *c)
{
	return compare_field(i, c, false);
}

static long compare1(u32 i, struct compare_job *c)
{
	return compare_field(i, c, true);
}

static __always_inline bool changed0(const void *v, const void *b0)
{
	struct compare_job c = {v, b0, 0};

	find_alive(&work.alive0, v, false);
	each_field(compare0, &c);
	return c.differs;
}

static __always_inline bool changed1(const void *v, const void *b1)
{
	struct compare_job c = {v, b1, 0};

	find_alive(&work.alive1, v, true);
	each_field(compare1, &c);
	return c.differs;
}

#endif
