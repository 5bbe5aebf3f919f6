/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Values that cannot be worked on where they are, because they hold a bpf_spin_lock.
 *
 * A visit of such a key takes a copy of each value under that side's lock (was, now), reconciles the copies `now` against a
 * copy of base, and then brings the differences between `now` and `was` to each side under its lock. The two locks are
 * never held together. What holds it together:
 *
 * 1. A sum is brought as a difference, added under the lock to whatever is there: nobody's addition is lost, and it never
 *    fails while the key is there.
 * 2. Everything else is written only where the side still holds what the copy held; fields of one group of MS_OP_LATEST only
 *    where all of the group does, for they belong together. So a newer value is never written over.
 * 3. `after` says field by field what arrived. Base gets for each side what that side was given: where a field did not
 *    arrive, base stays as if it had not been tried, and the next visit sees what happened. A copy is never older than base,
 *    for base is written from copies, and only here: one pass thread.
 *
 * Programs that add to such a value atomically and without the lock are served as well, by rule 1 and an atomic addition.
 * Values are looked at without the lock in one place, to see whether a key changed at all: what that misses is
 * found by the next pass, as everything that is written after a look.
 */
#ifndef MAPSHIFT_STAGED_H
#define MAPSHIFT_STAGED_H

#include "transform.h"

/*
 * Copies the value of the key at work to `was`, `now` and `after`. False: the side has no such key.
 *
 * Global functions are verified once, on kernels before 6.8 even where nothing calls them: they begin with the question
 * whether they are needed.
 */
__noinline int take0(void)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walk_key, &zero), *v = key ? value0(key) : 0;
	void *was = bpf_map_lookup_elem(&was0, &zero), *raw = bpf_map_lookup_elem(&raw0, &zero);
	void *given = bpf_map_lookup_elem(&given0, &zero);

	if (!staged || !v || !was || !raw || !given)
		return 0;
	if (transformed) {
		COPY_VALUE(0, raw, v, raw_size0);
		bpf_map_update_elem(&given0, &zero, raw, BPF_ANY);
		take_with(key, given);
		make_image(&was0);
	} else {
		COPY_VALUE(0, was, v, size0);
	}
	bpf_map_update_elem(&now0, &zero, was, BPF_ANY);
	bpf_map_update_elem(&after0, &zero, was, BPF_ANY);
	return 1;
}

__noinline int take1(void)
{
	u32 zero = 0;
	void *key = bpf_map_lookup_elem(&walk_key, &zero), *v = key ? value1(key) : 0;
	void *was = bpf_map_lookup_elem(&was1, &zero);

	if (!staged || !v || !was)
		return 0;
	COPY_VALUE(1, was, v, size1);
	bpf_map_update_elem(&now1, &zero, was, BPF_ANY);
	bpf_map_update_elem(&after1, &zero, was, BPF_ANY);
	return 1;
}

static __always_inline void *staged0(void)
{
	u32 zero = 0;

	return take0() ? bpf_map_lookup_elem(&now0, &zero) : 0;
}

static __always_inline void *staged1(void)
{
	u32 zero = 0;

	return take1() ? bpf_map_lookup_elem(&now1, &zero) : 0;
}

struct apply_job {
	void *v, *was, *now, *after;
};

/*
 * Brings one field to a side: under its lock, or else by one instruction. Flags are kept in `work`: on the stack each of them
 * would double the paths that the verifier walks.
 */
static __always_inline void apply_field(const volatile struct ms_field *f, struct apply_job *a, bool side)
{
	u64 was = get(f, a->was, side), now = get(f, a->now, side);
	u8 size = FIELD_SIZE(f, side);
	bool locked = LOCK(side) != MS_NO_LOCK, whole = is_switched(f, &work.before, &work.after);

	if (was == now || !is_alive(f, &work.after))
		return;
	if (f->op == MS_OP_SUM && !whole) {
		if (f->flags & MS_F_PLAIN || (locked && size < 4))
			set(f, a->v, side, get(f, a->v, side) + now - was);
		else if (!atomic_add(a->v, FIELD_OFF(f, side), size, VALUE_SIZE(side), now - was))
			return;
		set(f, a->after, side, now);
		return;
	}
	if ((f->op == MS_OP_LATEST || whole) && work.failed_groups & 1ull << (f->group & 63))
		return;
	if (locked || f->flags & MS_F_WIDE) {
		if (get(f, a->v, side) == was) {
			set(f, a->v, side, now);
			set(f, a->after, side, now);
		}
	} else if (cas(a->v, FIELD_OFF(f, side), size, VALUE_SIZE(side), was, now)) {
		set(f, a->after, side, now);
	} else if (f->op == MS_OP_LATEST || whole) {
		work.failed_groups |= 1ull << (f->group & 63);
	}
}

/* Under the lock: must the side still hold what the copy held, for the group to be written? */
static __always_inline bool holds_group(const volatile struct ms_field *f)
{
	if (is_switched(f, &work.before, &work.after))
		return is_alive(f, &work.before) || is_alive(f, &work.after);
	return f->op == MS_OP_LATEST && is_alive(f, &work.after);
}

/* Of an array's element that both sides had from the start. */
static __always_inline void apply_default(u32 i, void *v)
{
	const volatile struct ms_default *d = &defaults1[i];

	store(v, d->off, d->size, size1, d->value);
}

static long apply_one0(u32 i, struct apply_job *a)
{
	if (i >= MS_MAX_FIELDS)
		return 1;
	apply_field(&fields[i], a, false);
	return 0;
}

static long apply_one1(u32 i, struct apply_job *a)
{
	if (i >= MS_MAX_FIELDS)
		return 1;
	apply_field(&fields[i], a, true);
	return 0;
}

/*
 * Under a lock nothing can be called: loops that the verifier walks with the field table in its hands. Compiled without block
 * placement, which would have a loop's end fall through into its beginning: kernels as old as 6.1 refuse that ("back-edge").
 */
#define DEFINE_APPLY(side, is1)                                                                          \
	static __always_inline void apply_under_lock##side(struct apply_job *a)                          \
	{                                                                                                \
		const volatile struct ms_field *f;                                                       \
		u32 i;                                                                                   \
                                                                                                         \
		bpf_spin_lock(a->v + lock##side);                                                        \
		for (i = 0; i < nr_fields && i < MS_MAX_FIELDS; i++) {                                   \
			f = &fields[i];                                                                  \
			if (holds_group(f) && get(f, a->v, is1) != get(f, a->was, is1))                  \
				work.failed_groups |= 1ull << (f->group & 63);                           \
		}                                                                                        \
		for (i = 0; i < nr_fields && i < MS_MAX_FIELDS; i++) {                                   \
			apply_field(&fields[i], a, is1);                                                 \
		}                                                                                        \
		if (is1 && nr_defaults && work.defaulted) {                                              \
			for (i = 0; i < nr_defaults && i < MS_MAX_DEFAULTS; i++) {                       \
				apply_default(i, a->v);                                                  \
			}                                                                                \
		}                                                                                        \
		bpf_spin_unlock(a->v + lock##side);                                                      \
	}                                                                                                \
	/* The value of walk_key is looked up again: it may be gone. */                                  \
	static __always_inline bool open_apply##side(struct apply_job *a)                                \
	{                                                                                                \
		u32 zero = 0;                                                                            \
		void *key = bpf_map_lookup_elem(&walk_key, &zero);                                       \
                                                                                                         \
		a->v = key ? value##side(key) : 0;                                                       \
		a->was = bpf_map_lookup_elem(&was##side, &zero);                                         \
		a->now = bpf_map_lookup_elem(&now##side, &zero);                                         \
		a->after = bpf_map_lookup_elem(&after##side, &zero);                                     \
		if (!a->v || !a->was || !a->now || !a->after)                                            \
			return false;                                                                    \
		find_alive(&work.before, a->was, is1);                                                   \
		find_alive(&work.after, a->now, is1);                                                    \
		return true;                                                                             \
	}                                                                                                \
	/* By the author's function, or under the lock. */                                               \
	__noinline int apply_whole##side(void)                                                           \
	{                                                                                                \
		u32 zero = 0;                                                                            \
		struct apply_job a;                                                                      \
		void *key;                                                                               \
                                                                                                         \
		if (!staged) /* before the stack is touched: Linux 6.1 counts what is */                 \
			return 0;                                                                        \
		if (transformed && !is1) {                                                               \
			key = bpf_map_lookup_elem(&walk_key, &zero);                                     \
			if (key)                                                                         \
				apply_image(key);                                                        \
		} else if (lock##side != MS_NO_LOCK && open_apply##side(&a)) {                           \
			apply_under_lock##side(&a);                                                      \
		}                                                                                        \
		return 0;                                                                                \
	}                                                                                                \
	/* By instructions; beside the other one and not within, for Linux 6.1 adds up what the stack holds on the way to a field. */ \
	__noinline int apply_fields##side(void)                                                          \
	{                                                                                                \
		struct apply_job a;                                                                      \
                                                                                                         \
		if (!staged || lock##side != MS_NO_LOCK || (transformed && !is1) || !open_apply##side(&a)) \
			return 0;                                                                        \
		each_field(apply_one##side, &a);                                                         \
		if (is1 && nr_defaults && work.defaulted)                                                \
			bpf_loop(nr_defaults, default_one, &a.v, 0);                                     \
		return 0;                                                                                \
	}                                                                                                \
	/* Brings the differences to the value of walk_key. */                                           \
	static __always_inline void apply##side(void)                                                    \
	{                                                                                                \
		work.failed_groups = 0;                                                                  \
		apply_whole##side();                                                                     \
		apply_fields##side();                                                                    \
	}
DEFINE_APPLY(0, false)
DEFINE_APPLY(1, true)

struct staged_job {
	void *was0, *was1, *now0, *now1, *after0, *after1;
	u64 *slot, *copy;
};

static __always_inline bool open_stage(struct staged_job *s)
{
	u32 zero = 0;

	s->was0 = bpf_map_lookup_elem(&was0, &zero);
	s->was1 = bpf_map_lookup_elem(&was1, &zero);
	s->now0 = bpf_map_lookup_elem(&now0, &zero);
	s->now1 = bpf_map_lookup_elem(&now1, &zero);
	s->after0 = bpf_map_lookup_elem(&after0, &zero);
	s->after1 = bpf_map_lookup_elem(&after1, &zero);
	s->copy = bpf_map_lookup_elem(&base_copy, &zero);
	return s->was0 && s->was1 && s->now0 && s->now1 && s->after0 && s->after1 && s->copy;
}

/* What base says of one field, after the copy of base was reconciled as if everything arrived. */
static long settle_field(u32 i, struct staged_job *s)
{
	const volatile struct ms_field *f;
	u64 x, y, next0, next1, b0, b1, there;
	bool arrived0, arrived1, whole;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, &work.before) && !is_alive(f, &work.after)) /* in the copies of both sides, as reconciled */
		return 0;
	whole = is_switched(f, &work.alive_base, &work.before) || is_switched(f, &work.alive0, &work.before) ||
		is_switched(f, &work.alive1, &work.after);
	x = get(f, s->was0, false);
	y = get(f, s->was1, true);
	next0 = get(f, s->now0, false);
	next1 = get(f, s->now1, true);
	b0 = get(f, slot0(s->copy), false);
	b1 = get(f, slot1(s->copy), true);
	there = get(f, s->after0, false);
	arrived0 = transformed ? !work.partial || there == next0 : next0 == x || there == next0;
	arrived1 = next1 == y || get(f, s->after1, true) == next1;
	if (!arrived0 || !arrived1)
		work.failed = 1;
	if (f->op == MS_OP_SUM && !whole) {
		/* Take back what side 0 (1) moved by, which did not reach the other one. */
		if (transformed) {
			b0 = there;
			b1 -= work.partial ? next0 - there : 0;
		} else if (!arrived0) {
			b0 -= next0 - x;
			b1 -= y - get(f, slot1(s->slot), true);
		}
		if (!arrived1) {
			b0 -= x - get(f, slot0(s->slot), false);
			b1 -= next1 - y;
		}
		arrived0 = arrived1 = true;
	} else if (f->op == MS_OP_LATEST || f->op == MS_OP_FIRST || whole || phase == MS_PRECOPY) {
		arrived0 = arrived1 = arrived0 && arrived1;
	} /* else each side is joined on its own */
	if (arrived0)
		set(f, slot0(s->slot), false, transformed ? (f->op == MS_OP_SUM && !whole ? b0 : there) : b0);
	if (arrived1)
		set(f, slot1(s->slot), true, b1);
	return 0;
}

#endif
