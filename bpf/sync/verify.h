/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compares the two sides as they are, without writing. Under traffic a value may have been written since the last visit, or a
 * key have come or gone: that waits to be moved and is no mismatch, and base tells it from what differs though nothing waits.
 * The sides are not read at one instant, so what seems to differ is looked at once more after another pass.
 */
#ifndef MAPSHIFT_VERIFY_H
#define MAPSHIFT_VERIFY_H

#include "staged.h"

struct verify_job {
	void *key;
	void *v0, *v1;
	u8 differs;
};

/* As far as the narrower one can tell; a narrowed one stops at its end. */
static __always_inline bool sums_differ(const volatile struct ms_field *f, u64 x, u64 y)
{
	u8 width = f->size0 < f->size1 ? f->size0 : f->size1;

	return truncate(x, width) != truncate(y, width) && !(f->size1 < f->size0 && y == scalar_max(f->size1, FIELD_SIGNED(f, true)));
}

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
	if (f->op == MS_OP_SUM) {
		if (!sums_differ(f, x, y))
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

u32 walked; /* number of the last pass over everything */
u32 suspects, suspected;

static __always_inline bool before_last_pass(u32 pass)
{
	return (s32)(pass - walked) < 0;
}

/*
 * One side lacks the key (gone1: side 1). It may have gone, or come, since the last pass: the next ones see to that. What that
 * pass met and left without a counterpart found no room.
 */
static __always_inline bool absence_lasts(void *key, bool gone1)
{
	struct ms_base *b = bpf_map_lookup_elem(&base, key);

	if (arrays || !b)
		return false;
	if (!b->present)
		return gone1 && !before_last_pass(b->seen0);
	return before_last_pass(gone1 ? b->seen1 : b->seen0) && before_last_pass(gone1 ? b->miss1 : b->miss0);
}

/* Remembered for a second look, as side 0 writes it. */
static __always_inline void suspect(void *key)
{
	u32 at = 2 * hot_half + suspects;

	mismatched++;
	if (suspects < hot_half && !bpf_map_update_elem(&hot_keys, &at, key, BPF_ANY))
		suspects++;
}

static long verify_cpu(u32 cpu, struct verify_job *v)
{
	target_cpu = cpu; /* of which copies are made */
	v->v0 = staged ? staged0() : find0(v->key, cpu);
	v->v1 = staged ? staged1() : find1(v->key, cpu);
	if (!v->v1) {
		v->differs = v->v0 ? absence_lasts(v->key, true) : 0;
		return 1;
	}
	if (!v->v0) {
		v->differs = absence_lasts(v->key, false);
		return 1;
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

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	bpf_loop(nr_cpus, total_cpu, &t, 0);
	v->differs |= sums_differ(f, t.total, get(f, v->v1, true));
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
		v->differs = absence_lasts(v->key, true);
		return;
	}
	each_field(verify_total, v);
	if (!v->differs)
		return;
	bpf_loop(nr_cpus, waits_on_cpu, &w, 0);
	if (w.waits)
		v->differs = 0;
}

static __always_inline void verify_key(void *key)
{
	struct verify_job v = {key, 0, 0, 0};

	if ((staged || key_size1) && !take_key(key))
		return;
	if (adds_up())
		verify_totals(&v);
	else
		bpf_loop(nr_cpus, verify_cpu, &v, 0);
	if (v.differs)
		suspect(key);
}

static long verify_one(struct bpf_map *map, void *key, void *value, void *ctx)
{
	stats.visited0++;
	verify_key(key);
	return 0;
}

/* A key that only side 1 has. One without room on side 0 is counted by the passes. */
static long verify_extra(struct bpf_map *map, void *key, void *value, void *ctx)
{
	key = as_key0(key);
	if (key && !arrays && !value0(key) && absence_lasts(key, false))
		suspect(key);
	return 0;
}

static long verify_suspect(u32 i, void *ctx)
{
	u32 at = 2 * hot_half + i, zero = 0;
	void *key = bpf_map_lookup_elem(&hot_keys, &at);

	if (!key || !take_key(key))
		return 1;
	key = bpf_map_lookup_elem(&walk_key, &zero); /* its place may be taken by itself */
	if (key)
		verify_key(key);
	return 0;
}

#endif
