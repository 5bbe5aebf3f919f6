/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compares the two sides as they are, without writing. Under traffic a value may have been written since the last visit:
 * that waits to be moved and is no mismatch, and base tells it from values that differ though nothing waits.
 */
#ifndef MAPSHIFT_VERIFY_H
#define MAPSHIFT_VERIFY_H

#include "staged.h"

struct verify_job {
	void *key;
	void *v0, *v1;
	u8 differs;
};

static long verify_field(u32 i, struct verify_job *v)
{
	const volatile struct ms_field *f;
	u64 x, y;
	u8 clamped = 0;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, &work.before) || !is_alive(f, &work.after)) /* where the discriminators differ, that is seen there */
		return 0;
	if (f->op == MS_OP_FIRST) /* each side may have created the key */
		return 0;
	if (transformed && phase != MS_PRECOPY) /* an author's function may leave out what the old layout cannot say */
		return 0;
	x = get(f, v->v0, false);
	y = get(f, v->v1, true);
	if (f->op == MS_OP_SUM) { /* equal as far as the narrower one can tell */
		u8 width = f->size0 < f->size1 ? f->size0 : f->size1;

		if (truncate(x, width) == truncate(y, width))
			return 0;
		if (f->size1 < f->size0 && y == scalar_max(f->size1, FIELD_SIGNED(f, true)))
			return 0;
	} else if (to_side1(f, x, &clamped) == y || to_side0(f, y, &clamped) == x) {
		return 0;
	}
	v->differs = 1;
	return 1;
}

static __always_inline bool waits(struct verify_job *v, u32 cpu)
{
	struct ms_base *b = bpf_map_lookup_elem(&base, v->key);
	u64 *slot;

	if (!b || !b->present)
		return true;
	slot = slot_at(b, percpu ? cpu : 0);
	if (!slot || *slot != MS_SLOT_SYNCED)
		return true;
	return changed0(v->v0, slot0(slot)) || changed1(v->v1, base1(b, slot));
}

static long verify_cpu(u32 cpu, struct verify_job *v)
{
	v->v0 = staged ? staged0() : find0(v->key, cpu);
	v->v1 = staged ? staged1() : find1(v->key, cpu);
	if (!v->v0 || !v->v1) {
		v->differs = !arrays;
		return v->differs ? 1 : 0;
	}
	find_alive(&work.before, v->v0, false);
	find_alive(&work.after, v->v1, true);
	each_field(verify_field, v);
	if (v->differs && waits(v, cpu))
		v->differs = 0;
	return v->differs ? 1 : 0;
}

/* One new value for those of all CPUs: only sums are. */
struct total_job {
	struct verify_job *v;
	u32 field;
	u64 total;
};

static long total_cpu(u32 cpu, struct total_job *t)
{
	const volatile struct ms_field *f;
	void *v0 = find0(t->v->key, cpu);
	u64 x;

	if (!v0 || t->field >= MS_MAX_FIELDS)
		return 1;
	f = &fields[t->field];
	x = get(f, v0, false);
	t->total += FIELD_SIGNED(f, false) ? (u64)sign_extend(x, f->size0) : x;
	return 0;
}

static long verify_total(u32 i, struct verify_job *v)
{
	struct total_job t = {v, i, 0};
	const volatile struct ms_field *f;
	u8 width;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	width = f->size0 < f->size1 ? f->size0 : f->size1;
	bpf_loop(nr_cpus, total_cpu, &t, 0);
	v->differs |= truncate(t.total, width) != truncate(get(f, v->v1, true), width);
	return 0;
}

struct waits_job {
	struct verify_job *v;
	bool waits;
};

static long waits_on_cpu(u32 cpu, struct waits_job *w)
{
	w->v->v0 = find0(w->v->key, cpu);
	w->waits |= !w->v->v0 || waits(w->v, cpu);
	return 0;
}

static __always_inline void verify_totals(struct verify_job *v)
{
	struct waits_job w = {v, false};

	v->v1 = find1(v->key, 0);
	if (!v->v1) {
		v->differs = !arrays;
		return;
	}
	each_field(verify_total, v);
	if (!v->differs)
		return;
	bpf_loop(nr_cpus, waits_on_cpu, &w, 0);
	if (w.waits)
		v->differs = 0;
}

static long verify_one(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct verify_job v = {key, 0, 0, 0};

	stats.visited0++;
	if ((staged || key_size1) && !take_key(key))
		return 0;
	if (adds_up())
		verify_totals(&v);
	else
		bpf_loop(nr_cpus, verify_cpu, &v, 0);
	mismatched += v.differs;
	return 0;
}

/* A key that only side 1 has. Without an entry in base it is new, and waits. */
static long verify_extra(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct ms_base *b;

	key = as_key0(key);
	if (!key || arrays || value0(key))
		return 0;
	b = bpf_map_lookup_elem(&base, key);
	if (b && b->present)
		mismatched++;
	return 0;
}

#endif
