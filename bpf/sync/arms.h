/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unions with a declared discriminator: fields of several arms lie on the same bytes, and only those of the arm that a
 * value's discriminator names are alive.
 *
 * While the discriminator stays, the fields of its arm are merged as all others are. When it changed, on either side or since
 * base, an ancestor of other bytes says nothing: then the arm's fields travel whole, whatever their merge, in the direction
 * that the discriminator takes, and belong to its group. They come before it in the table: until it is written the arm
 * counts as not arrived, and the next visit does it again.
 */
#ifndef MAPSHIFT_ARMS_H
#define MAPSHIFT_ARMS_H

#include "tables.h"

/* A global function, so that the verifier walks it once; of numbers only, so that it may be called from anywhere. */
__noinline int arm_of(u32 of, u64 tag, u32 side)
{
	u32 i;

	for (i = 0; i < nr_arms && i < MS_MAX_ARMS; i++) {
		if (arms[i].of == of && (side ? arms[i].value1 : arms[i].value0) == tag)
			return arms[i].arm;
	}
	return 0;
}

static __always_inline void find_alive(struct ms_alive *a, const void *v, bool side)
{
	u32 u;

	for (u = 0; u < nr_unions && u < MS_MAX_UNIONS; u++) {
		const volatile struct ms_union *n = &unions[u];

		if (n->same == u)
			a->tag[u] = load(v, FIELD_OFF(n, side), FIELD_SIZE(n, side), VALUE_SIZE(side));
		else
			a->tag[u] = a->tag[n->same & (MS_MAX_UNIONS - 1)];
		a->arm[u] = arm_of(u, a->tag[u], side);
	}
}

static __always_inline u32 union_of(const volatile struct ms_field *f)
{
	return (f->in_union - 1) & (MS_MAX_UNIONS - 1);
}

static __always_inline bool in_arm(const volatile struct ms_field *f)
{
	return nr_unions && f->in_union && f->arm != MS_ARM_TAG;
}

/* Not of an arm that the value does not have. */
static __always_inline bool is_alive(const volatile struct ms_field *f, const struct ms_alive *a)
{
	return !in_arm(f) || a->arm[union_of(f)] == f->arm;
}

/* A field of an arm that is alive on one of both only. */
static __always_inline bool is_switched(const volatile struct ms_field *f, const struct ms_alive *a, const struct ms_alive *b)
{
	return in_arm(f) && a->arm[union_of(f)] != b->arm[union_of(f)];
}

/* What the field holds; of a discriminator what it held when its arm was looked up. */
static __always_inline u64 held(const volatile struct ms_field *f, const void *v, const struct ms_alive *a, bool side)
{
	return nr_unions && f->arm == MS_ARM_TAG ? a->tag[union_of(f)] : get(f, v, side);
}

static __always_inline bool any_undeclared(const struct ms_alive *a)
{
	u8 none = 0;
	u32 u;

	for (u = 0; u < nr_unions && u < MS_MAX_UNIONS; u++)
		none |= !a->arm[u];
	return none;
}

#endif
