/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sync engine: reconciles two maps field by field against a common ancestor (base).
 *
 * The invariant that everything rests on: for each key and field, base holds on each side what that side held when it
 * was last reconciled, including what the engine itself wrote there. So `value - base` is exactly what others did since.
 *
 * One pass thread runs these programs, one at a time (rule 10: nothing else can hold an entry of base). Writers on all
 * CPUs work on both maps meanwhile. The placeholders of the maps below are replaced before load.
 */
#include "mapshift/sync.h"
#include "scalar.h"

#define EEXIST 17

struct bpf_map; /* only a parameter of the callbacks */

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} side0 SEC(".maps"), side1 SEC(".maps"), base SEC(".maps");

/* Whole values about to be inserted. Bytes that no field covers stay what user space put there: 0, or a default. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} fresh0 SEC(".maps"), fresh1 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} empty_base SEC(".maps"), hot_keys SEC(".maps"); /* hot_keys: two halves of hot_half keys each */

const volatile struct ms_field fields[MS_MAX_FIELDS] = {};
const volatile s64 remap0[MS_MAX_REMAPS] = {}, remap1[MS_MAX_REMAPS] = {};
const volatile u32 nr_fields = 1, size0 = 8, size1 = 8, nr_cpus = 1, hot_half = 1;
const volatile bool percpu, arrays, lru0, lru1, keep_delta, has_remap;

/* Arguments and results, through the mapping of .bss. */
u32 phase, pass_number, target_cpu, complete, hot_into, hot_from, hot_count[2], hot_begin, hot_end;
u64 hot_overflow, mismatched;
struct ms_stats stats;

#define ROUND8(n) (((n) + 7u) & ~7u)
#define SLOT_SIZE (8 + ROUND8(size0) + ROUND8(size1))

/* One key at work. */
struct job {
	void *v0, *v1;     /* values, null when absent */
	void *b0, *b1;     /* what base holds of them */
	u64 group0, group1; /* MS_OP_LATEST groups that changed on each side */
	u64 differs, wide;  /* groups whose sides differ; that hold wide fields */
	u32 visited;
	u8 moved0, moved1;  /* something of side 0 (1) was carried to the other */
	u8 clamped, failed;
};

static __always_inline bool active1(void)
{
	return phase == MS_LIVE_NEW;
}

static __always_inline u64 *slot_of(struct ms_base *b)
{
	u32 cpu = percpu ? target_cpu : 0;

	if (cpu >= nr_cpus)
		return 0;
	return (void *)b + sizeof(*b) + cpu * SLOT_SIZE;
}

struct remap_job {
	u32 begin;
	s64 value;
	bool forward, found;
};

static long remap_one(u32 i, struct remap_job *r)
{
	u32 n = r->begin + i;

	if (n >= MS_MAX_REMAPS)
		return 1;
	if ((r->forward ? remap0[n] : remap1[n]) != r->value)
		return 0;
	r->value = r->forward ? remap1[n] : remap0[n];
	r->found = true;
	return 1;
}

static __always_inline u64 remapped(const volatile struct ms_field *f, u64 v, bool forward)
{
	u8 from = forward ? f->size0 : f->size1;
	struct remap_job r = {f->remap, 0, forward, false};

	r.value = (f->flags & (forward ? MS_F_SIGNED0 : MS_F_SIGNED1)) ? sign_extend(v, from) : (s64)v;
	bpf_loop(f->remap_count, remap_one, &r, 0);
	return r.found ? truncate((u64)r.value, forward ? f->size1 : f->size0) : v;
}

static __always_inline u64 to_side1(const volatile struct ms_field *f, u64 x, u8 *clamped)
{
	bool c = false;

	if (has_remap && f->remap_count)
		return remapped(f, x, true);
	x = convert(x, f->size0, f->flags & MS_F_SIGNED0, f->size1, f->flags & MS_F_SIGNED1, &c);
	*clamped |= c;
	return x;
}

static __always_inline u64 to_side0(const volatile struct ms_field *f, u64 y, u8 *clamped)
{
	bool c = false;

	if (has_remap && f->remap_count)
		return remapped(f, y, false);
	y = convert(y, f->size1, f->flags & MS_F_SIGNED1, f->size0, f->flags & MS_F_SIGNED0, &c);
	*clamped |= c;
	return y;
}

/*
 * A delta of a sum that goes to a narrower counter stops at its end instead of wrapping: the value would not fit.
 * `have` is the target's present value.
 */
static __always_inline u64 fitting_delta(u64 have, u64 delta, u8 size, bool is_signed, u8 *clamped)
{
	s64 top = (s64)scalar_max(size, is_signed), bottom = is_signed ? -top - 1 : 0;
	s64 now = is_signed ? sign_extend(have, size) : (s64)have, sum = now + (s64)delta;

	if (size == 8 || (sum >= bottom && sum <= top))
		return delta;
	*clamped = 1;
	return (u64)((sum > top ? top : bottom) - now);
}

/* ---- comparing a side with base: the fast path, nothing else is touched when nothing changed ---- */

struct compare_job {
	void *v, *b;
	u32 differs;
};

static long compare0(u32 i, struct compare_job *c)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (load(c->v, f->off0, f->size0, size0) == load(c->b, f->off0, f->size0, size0))
		return 0;
	c->differs = 1;
	return 1;
}

static long compare1(u32 i, struct compare_job *c)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (load(c->v, f->off1, f->size1, size1) == load(c->b, f->off1, f->size1, size1))
		return 0;
	c->differs = 1;
	return 1;
}

static __always_inline bool changed0(void *v, u64 *slot)
{
	struct compare_job c = {v, (void *)(slot + 1), 0};

	bpf_loop(nr_fields, compare0, &c, 0);
	return c.differs;
}

static __always_inline bool changed1(void *v, u64 *slot)
{
	struct compare_job c = {v, (void *)(slot + 1) + ROUND8(size0), 0};

	bpf_loop(nr_fields, compare1, &c, 0);
	return c.differs;
}

/* ---- before the swap: side 1 is written by nobody else ---- */

static long precopy_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, bx, y, next;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	x = load(j->v0, f->off0, f->size0, size0);
	bx = load(j->b0, f->off0, f->size0, size0);
	if (j->visited && x == bx)
		return 0;
	y = load(j->v1, f->off1, f->size1, size1);
	if (f->op == MS_OP_SUM && j->visited) {
		u64 delta = (u64)sign_extend(x - bx, f->size0);

		if (f->size1 < f->size0)
			delta = fitting_delta(y, delta, f->size1, f->flags & MS_F_SIGNED1, &j->clamped);
		next = y + delta;
		store(j->b1, f->off1, f->size1, size1, load(j->b1, f->off1, f->size1, size1) + delta);
	} else {
		next = to_side1(f, x, &j->clamped);
		store(j->b1, f->off1, f->size1, size1, next);
	}
	store(j->v1, f->off1, f->size1, size1, next);
	store(j->b0, f->off0, f->size0, size0, x);
	j->moved0 = 1;
	return 0;
}

/* ---- both sides may be written by others ---- */

static long scan_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, y, bit;
	bool c0, c1;
	u8 ignored = 0;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	x = load(j->v0, f->off0, f->size0, size0);
	y = load(j->v1, f->off1, f->size1, size1);
	c0 = x != load(j->b0, f->off0, f->size0, size0);
	c1 = y != load(j->b1, f->off1, f->size1, size1);
	if (f->op != MS_OP_LATEST)
		return 0;
	bit = 1ull << (f->group & 63);
	if (c0)
		j->group0 |= bit;
	if (c1)
		j->group1 |= bit;
	if (to_side1(f, x, &ignored) != y)
		j->differs |= bit;
	if (f->flags & MS_F_WIDE)
		j->wide |= bit;
	return 0;
}

/*
 * Puts `next` where `have` was read on one side: by compare-and-swap on the active side, for its programs may have
 * written meanwhile (rule 2). A side that changed under us keeps its value, base stays, and the next visit sees a
 * conflict that the active side wins.
 */
static __always_inline bool put1(struct job *j, const volatile struct ms_field *f, u64 have, u64 next)
{
	if (have == next)
		return true;
	if (active1()) {
		if ((f->flags & MS_F_WIDE) || !cas(j->v1, f->off1, f->size1, size1, have, next)) {
			j->failed = 1;
			return false;
		}
	} else {
		store(j->v1, f->off1, f->size1, size1, next);
	}
	j->moved0 = 1;
	return true;
}

static __always_inline bool put0(struct job *j, const volatile struct ms_field *f, u64 have, u64 next)
{
	if (have == next)
		return true;
	if (!active1()) {
		if ((f->flags & MS_F_WIDE) || !cas(j->v0, f->off0, f->size0, size0, have, next)) {
			j->failed = 1;
			return false;
		}
	} else {
		store(j->v0, f->off0, f->size0, size0, next);
	}
	j->moved1 = 1;
	return true;
}

static __always_inline void record(struct job *j, const volatile struct ms_field *f, u64 x, u64 y)
{
	store(j->b0, f->off0, f->size0, size0, x);
	store(j->b1, f->off1, f->size1, size1, y);
}

static __always_inline void merge_sum(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 d0 = (u64)sign_extend(x - bx, f->size0), d1 = (u64)sign_extend(y - by, f->size1);

	if (d0) {
		if (f->size1 < f->size0)
			d0 = fitting_delta(y, d0, f->size1, f->flags & MS_F_SIGNED1, &j->clamped);
		if (atomic_add(j->v1, f->off1, f->size1, size1, d0)) {
			store(j->b0, f->off0, f->size0, size0, x);
			store(j->b1, f->off1, f->size1, size1, by + d0);
			bx = x;
			by += d0;
			j->moved0 = 1;
		}
	}
	if (d1 && atomic_add(j->v0, f->off0, f->size0, size0, d1)) {
		store(j->b0, f->off0, f->size0, size0, bx + d1);
		store(j->b1, f->off1, f->size1, size1, by + d1);
		j->moved1 = 1;
	}
}

static __always_inline void merge_latest(struct job *j, const volatile struct ms_field *f, u64 x, u64 y)
{
	u64 bit = 1ull << (f->group & 63);
	bool c0 = j->group0 & bit, c1 = j->group1 & bit, from1 = c1;

	if (!c0 && !c1)
		return;
	/* The active side wins a conflict, and against a passive change that no instruction could carry over whole. */
	if ((c0 && c1) || (j->wide & bit && (active1() ? c0 : c1)))
		from1 = active1();
	if (from1) {
		u64 next = to_side0(f, y, &j->clamped);

		if (put0(j, f, x, next))
			record(j, f, next, y);
	} else {
		u64 next = to_side1(f, x, &j->clamped);

		if (put1(j, f, y, next))
			record(j, f, x, next);
	}
}

/* Signed comparison where both layouts say so: `a` stands after `b` in the order that `op` climbs. */
static __always_inline bool beyond(const volatile struct ms_field *f, u64 a, u64 b, u8 size, bool is_signed)
{
	bool greater = is_signed ? sign_extend(a, size) > sign_extend(b, size) : a > b;

	return f->op == MS_OP_MAX ? greater : (a != b && !greater);
}

/* max, min, or: both sides take the join, unless one was reset since base: then the reset side wins. */
static __always_inline void merge_join(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	u64 x1 = to_side1(f, x, &j->clamped), next1;
	bool reset0 = false, reset1 = false, s0 = f->flags & MS_F_SIGNED0, s1 = f->flags & MS_F_SIGNED1;

	if (j->visited && x == bx && y == by)
		return;
	if (f->op == MS_OP_OR) {
		reset0 = j->visited && (bx & ~x);
		reset1 = j->visited && (by & ~y);
		if (reset0 && !reset1)
			next1 = x1 | (y & ~by);
		else if (reset1 && !reset0)
			next1 = y | to_side1(f, x & ~bx, &j->clamped);
		else
			next1 = x1 | y;
	} else {
		reset0 = j->visited && beyond(f, bx, x, f->size0, s0);
		reset1 = j->visited && beyond(f, by, y, f->size1, s1);
		if (reset0 && !reset1)
			next1 = y != by && beyond(f, y, x1, f->size1, s1) ? y : x1;
		else if (reset1 && !reset0)
			next1 = x != bx && beyond(f, x1, y, f->size1, s1) ? x1 : y;
		else
			next1 = beyond(f, x1, y, f->size1, s1) ? x1 : y;
	}
	u64 next0 = next1 == x1 ? x : to_side0(f, next1, &j->clamped);
	bool done1 = put1(j, f, y, next1), done0 = put0(j, f, x, next0);

	if (done0 && done1)
		record(j, f, next0, next1);
}

/* Written when a key is created, and again only when the active side created it anew. */
static __always_inline void merge_first(struct job *j, const volatile struct ms_field *f, u64 x, u64 y, u64 bx, u64 by)
{
	if (j->visited && x == bx && y == by)
		return;
	if (active1()) {
		u64 next = !j->visited || y != by ? to_side0(f, y, &j->clamped) : x;

		put0(j, f, x, next);
		record(j, f, next, y);
	} else {
		u64 next = !j->visited || x != bx ? to_side1(f, x, &j->clamped) : y;

		put1(j, f, y, next);
		record(j, f, x, next);
	}
}

static long merge_field(u32 i, struct job *j)
{
	const volatile struct ms_field *f;
	u64 x, y, bx, by;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	x = load(j->v0, f->off0, f->size0, size0);
	y = load(j->v1, f->off1, f->size1, size1);
	bx = load(j->b0, f->off0, f->size0, size0);
	by = load(j->b1, f->off1, f->size1, size1);
	switch (f->op) {
	case MS_OP_SUM:
		merge_sum(j, f, x, y, bx, by);
		break;
	case MS_OP_LATEST:
		merge_latest(j, f, x, y);
		break;
	case MS_OP_FIRST:
		merge_first(j, f, x, y, bx, by);
		break;
	default:
		merge_join(j, f, x, y, bx, by);
	}
	return 0;
}

/* ---- creating a key on the other side, always with its whole value (rule 3) ---- */

/*
 * Both sides of the key are laid out in fresh0 and fresh1; base is written from there once the kernel took the new
 * element, for until then nothing was carried over.
 */
struct fresh {
	void *v0, *v1; /* fresh0, fresh1 */
	void *from;    /* the value that exists */
	void *b0, *b1;
	u8 delta;      /* keep_delta: sums get only what came after base */
	u8 clamped;
};

static long fill_from0(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;
	u64 x, y;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	x = load(c->from, f->off0, f->size0, size0);
	if (c->delta && f->op == MS_OP_SUM)
		y = truncate((u64)sign_extend(x - load(c->b0, f->off0, f->size0, size0), f->size0), f->size1);
	else
		y = to_side1(f, x, &c->clamped);
	store(c->v0, f->off0, f->size0, size0, x);
	store(c->v1, f->off1, f->size1, size1, y);
	return 0;
}

static long fill_from1(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;
	u64 x, y;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	y = load(c->from, f->off1, f->size1, size1);
	if (c->delta && f->op == MS_OP_SUM)
		x = truncate((u64)sign_extend(y - load(c->b1, f->off1, f->size1, size1), f->size1), f->size0);
	else
		x = to_side0(f, y, &c->clamped);
	store(c->v0, f->off0, f->size0, size0, x);
	store(c->v1, f->off1, f->size1, size1, y);
	return 0;
}

static long fill_base(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	store(c->b0, f->off0, f->size0, size0, load(c->v0, f->off0, f->size0, size0));
	store(c->b1, f->off1, f->size1, size1, load(c->v1, f->off1, f->size1, size1));
	return 0;
}

static __always_inline void remember_hot(void *key)
{
	u32 n = hot_count[hot_into & 1], at;

	if (n >= hot_half) {
		hot_overflow++;
		return;
	}
	at = (hot_into & 1) * hot_half + n;
	if (!bpf_map_update_elem(&hot_keys, &at, key, BPF_ANY))
		hot_count[hot_into & 1] = n + 1;
}

/* Creates the key on side 1 (to1) or side 0 from the value on the other. */
static __noinline int create(void *key, struct ms_base *b, void *from, bool to1, bool delta)
{
	u32 zero = 0;
	u64 *slot = b ? slot_of(b) : 0;
	struct fresh c = {};
	long err;

	if (!slot || !from || !key || (percpu && target_cpu != bpf_get_smp_processor_id()))
		return 0;
	c.v0 = bpf_map_lookup_elem(&fresh0, &zero);
	c.v1 = bpf_map_lookup_elem(&fresh1, &zero);
	c.from = from;
	c.b0 = slot + 1;
	c.b1 = (void *)(slot + 1) + ROUND8(size0);
	c.delta = delta;
	if (!c.v0 || !c.v1)
		return 0;
	if (to1) {
		bpf_loop(nr_fields, fill_from0, &c, 0);
		err = bpf_map_update_elem(&side1, key, c.v1, BPF_NOEXIST);
	} else {
		bpf_loop(nr_fields, fill_from1, &c, 0);
		err = bpf_map_update_elem(&side0, key, c.v0, BPF_NOEXIST);
	}
	if (err) {
		if (err == -EEXIST) /* created there meanwhile: the next visit sees both */
			stats.pending++;
		else if (to1)
			stats.full1++;
		else
			stats.full0++;
		return 0;
	}
	bpf_loop(nr_fields, fill_base, &c, 0);
	*slot = 1;
	b->present = 1;
	b->miss0 = b->miss1 = 0;
	if (to1)
		b->seen1 = pass_number;
	else
		b->seen0 = pass_number;
	stats.added++;
	stats.clamped += c.clamped;
	if (phase == MS_PRECOPY || to1 == active1())
		stats.from_passive++;
	remember_hot(key);
	return 1;
}

/* ---- one key ---- */

static __always_inline void *value0(void *key)
{
	void *v = percpu ? bpf_map_lookup_percpu_elem(&side0, key, target_cpu) : bpf_map_lookup_elem(&side0, key);

	/* Under churn one lookup in 300,000 misses a key that is there (rule 8). */
	if (!v && !arrays)
		v = percpu ? bpf_map_lookup_percpu_elem(&side0, key, target_cpu) : bpf_map_lookup_elem(&side0, key);
	return v;
}

static __always_inline void *value1(void *key)
{
	void *v = percpu ? bpf_map_lookup_percpu_elem(&side1, key, target_cpu) : bpf_map_lookup_elem(&side1, key);

	if (!v && !arrays)
		v = percpu ? bpf_map_lookup_percpu_elem(&side1, key, target_cpu) : bpf_map_lookup_elem(&side1, key);
	return v;
}

static __noinline int reconcile(void *key, struct ms_base *b, void *v0, void *v1)
{
	u64 *slot = b ? slot_of(b) : 0;
	struct job j = {};

	if (!slot || !v0 || !v1 || !key)
		return 0;
	j.v0 = v0;
	j.v1 = v1;
	j.b0 = slot + 1;
	j.b1 = (void *)(slot + 1) + ROUND8(size0);
	j.visited = *slot;
	if (phase == MS_PRECOPY) {
		bpf_loop(nr_fields, precopy_field, &j, 0);
	} else {
		u64 conflicts;

		bpf_loop(nr_fields, scan_field, &j, 0);
		conflicts = j.group0 & j.group1 & j.differs;
		if (conflicts)
			stats.conflicts++;
		if (j.wide & (active1() ? j.group0 & ~j.group1 : j.group1 & ~j.group0) & j.differs)
			stats.unsafe_wide++;
		bpf_loop(nr_fields, merge_field, &j, 0);
		if (j.failed)
			stats.conflicts++;
	}
	*slot = 1;
	b->present = 1;
	b->miss0 = b->miss1 = 0;
	stats.clamped += j.clamped;
	if (j.moved0 | j.moved1) {
		stats.changed++;
		remember_hot(key);
	}
	if (phase != MS_PRECOPY && (active1() ? j.moved0 : j.moved1)) {
		stats.from_passive++;
		/* An element that was replaced meanwhile may have got what was not its own: the risk is counted. */
		if (active1() ? value1(key) != v1 : value0(key) != v0)
			stats.risky++;
	} else if (phase == MS_PRECOPY && j.moved0) {
		stats.from_passive++;
	}
	return 0;
}

/*
 * Syncs one key. v0 and v1 may be known to the caller, or null. A presence that changed since base is left to
 * walk_base, which knows whether the absence has lasted for two passes.
 */
static __noinline int sync_key(void *key, struct ms_base *b, void *v0, void *v1)
{
	if (!b || !key)
		return 0;
	if (__sync_val_compare_and_swap(&b->busy, 0, 1)) {
		b->dirty = 1;
		stats.contended++;
		return 0;
	}
	b->dirty = 0;
	if (!v0)
		v0 = value0(key);
	if (!v1)
		v1 = value1(key);
	if (v0 && v1)
		reconcile(key, b, v0, v1);
	else if (v0 && (!b->present || phase == MS_PRECOPY))
		create(key, b, v0, true, false);
	else if (v1 && !b->present && phase != MS_PRECOPY)
		create(key, b, v1, false, false);
	b->busy = 0;
	return 0;
}

static __always_inline struct ms_base *base_of(void *key)
{
	u32 zero = 0;
	void *clean;
	struct ms_base *b = bpf_map_lookup_elem(&base, key);

	if (b)
		return b;
	clean = bpf_map_lookup_elem(&empty_base, &zero);
	if (!clean || bpf_map_update_elem(&base, key, clean, BPF_NOEXIST)) {
		stats.base_full++;
		return 0;
	}
	return bpf_map_lookup_elem(&base, key);
}

/* ---- passes ---- */

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
	if (percpu && target_cpu != bpf_get_smp_processor_id()) {
		value = bpf_map_lookup_percpu_elem(&side0, key, target_cpu);
		if (!value)
			return 0;
	}
	if (b->present && *slot && !changed0(value, slot))
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
	if (percpu && target_cpu != bpf_get_smp_processor_id()) {
		value = bpf_map_lookup_percpu_elem(&side1, key, target_cpu);
		if (!value)
			return 0;
	}
	/* The tail of an array that grew: nothing to carry over while it is as empty as its base. */
	if ((arrays || b->present) && (arrays || *slot) && !changed1(value, slot))
		return 0;
	sync_key(key, b, 0, value);
	return 0;
}

/* ---- presence: what only a look at base can find ---- */

static long clear_word(u32 i, struct ms_base **b)
{
	if (i >= nr_cpus * SLOT_SIZE / 8)
		return 1;
	((u64 *)(*b + 1))[i] = 0;
	return 0;
}

/* Presence and values go together (rule 7). The entry stays, as a tombstone, until `sweep`. */
static __always_inline void forget(struct ms_base *b)
{
	bpf_loop(nr_cpus * SLOT_SIZE / 8, clear_word, &b, 0);
	b->present = 0;
	b->miss0 = b->miss1 = 0;
}

/* What became of the side that still has the key, since base. */
struct judgement {
	void *key;
	struct ms_base *base;
	void *v, *b;
	u8 changed, negative;
};

static __always_inline void judge(struct judgement *g, u8 op, u64 now, u64 was, u8 size)
{
	if (now == was)
		return;
	g->changed = 1;
	if (op == MS_OP_SUM && sign_extend(now - was, size) < 0)
		g->negative = 1;
}

static long judge_field0(u32 i, struct judgement *g)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	judge(g, f->op, load(g->v, f->off0, f->size0, size0), load(g->b, f->off0, f->size0, size0), f->size0);
	return 0;
}

static long judge_field1(u32 i, struct judgement *g)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	judge(g, f->op, load(g->v, f->off1, f->size1, size1), load(g->b, f->off1, f->size1, size1), f->size1);
	return 0;
}

static long judge_cpu0(u32 cpu, struct judgement *g)
{
	if (cpu >= nr_cpus)
		return 1;
	g->v = percpu ? bpf_map_lookup_percpu_elem(&side0, g->key, cpu) : bpf_map_lookup_elem(&side0, g->key);
	g->b = (void *)(g->base + 1) + cpu * SLOT_SIZE + 8;
	if (g->v)
		bpf_loop(nr_fields, judge_field0, g, 0);
	return 0;
}

static long judge_cpu1(u32 cpu, struct judgement *g)
{
	if (cpu >= nr_cpus)
		return 1;
	g->v = percpu ? bpf_map_lookup_percpu_elem(&side1, g->key, cpu) : bpf_map_lookup_elem(&side1, g->key);
	g->b = (void *)(g->base + 1) + cpu * SLOT_SIZE + 8 + ROUND8(size0);
	if (g->v)
		bpf_loop(nr_fields, judge_field1, g, 0);
	return 0;
}

struct rebase_job {
	void *v, *b;
};

static long rebase_field0(u32 i, struct rebase_job *r)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (f->op == MS_OP_SUM)
		atomic_add(r->v, f->off0, f->size0, size0, -load(r->b, f->off0, f->size0, size0));
	return 0;
}

static long rebase_field1(u32 i, struct rebase_job *r)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (f->op == MS_OP_SUM)
		atomic_add(r->v, f->off1, f->size1, size1, -load(r->b, f->off1, f->size1, size1));
	return 0;
}

/*
 * The key is gone from the other side for good.
 *
 * Deleted on the active side: that wins (rule 5), and what moved on the passive side since base is dropped, counted,
 * unless the map keeps deltas. Gone from the passive side of an LRU map: evicted, so made again (rule 9). Else it was
 * deleted there: that wins while the active side still equals base; when it changed, the deletion took only the old
 * count; a sum that fell says that the key is a new incarnation, of which nothing was ever on the passive side (rule 6).
 */
static __noinline int only_on0(void *key, struct ms_base *b)
{
	struct judgement g = {key, b, 0, 0, 0, 0};
	struct rebase_job r = {};
	u64 *slot = b ? slot_of(b) : 0;
	void *left = key ? value0(key) : 0;

	if (!slot || !left)
		return 0;
	bpf_loop(nr_cpus, judge_cpu0, &g, 0);
	if (active1()) {
		if (keep_delta && g.changed && !g.negative)
			return create(key, b, left, true, true);
		if (g.changed)
			stats.dropped_deltas++;
	} else if (lru1) {
		forget(b);
		return create(key, b, left, true, false);
	} else if (g.changed) {
		stats.from_passive++;
		r.v = left;
		r.b = slot + 1;
		if (!g.negative)
			bpf_loop(nr_fields, rebase_field0, &r, 0);
		/* Other CPUs of a per-CPU map subtract their share at their own visit, from their slot of base. */
		if (g.negative || !percpu)
			forget(b);
		return create(key, b, left, true, false);
	} else {
		stats.from_passive++;
	}
	bpf_map_delete_elem(&side0, key);
	forget(b);
	stats.deleted++;
	return 0;
}

static __noinline int only_on1(void *key, struct ms_base *b)
{
	struct judgement g = {key, b, 0, 0, 0, 0};
	struct rebase_job r = {};
	u64 *slot = b ? slot_of(b) : 0;
	void *left = key ? value1(key) : 0;

	if (!slot || !left)
		return 0;
	bpf_loop(nr_cpus, judge_cpu1, &g, 0);
	if (!active1()) {
		if (keep_delta && g.changed && !g.negative)
			return create(key, b, left, false, true);
		if (g.changed)
			stats.dropped_deltas++;
	} else if (lru0) {
		forget(b);
		return create(key, b, left, false, false);
	} else if (g.changed) {
		stats.from_passive++;
		r.v = left;
		r.b = (void *)(slot + 1) + ROUND8(size0);
		if (!g.negative)
			bpf_loop(nr_fields, rebase_field1, &r, 0);
		/* Other CPUs of a per-CPU map subtract their share at their own visit, from their slot of base. */
		if (g.negative || !percpu)
			forget(b);
		return create(key, b, left, false, false);
	} else {
		stats.from_passive++;
	}
	bpf_map_delete_elem(&side1, key);
	forget(b);
	stats.deleted++;
	return 0;
}

static __always_inline void act_on_absence(void *key, struct ms_base *b, bool gone0, bool gone1)
{
	if (gone0 && gone1) {
		forget(b);
		stats.deleted++;
	} else if (phase != MS_PRECOPY) {
		if (gone1)
			only_on0(key, b);
		else
			only_on1(key, b);
	} else if (gone0) {
		bpf_map_delete_elem(&side1, key);
		forget(b);
		stats.deleted++;
		stats.from_passive++;
	} else { /* absence on the new side is never a deletion yet (rule 4) */
		create(key, b, value0(key), true, false);
	}
}

static long visit_base(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	bool gone0, gone1, wait = false;

	stats.visited_base++;
	if (!b->present) {
		stats.tombstones++;
		return 0;
	}
	stats.present++;
	/* A pass can miss a key that is being replaced, so look again: twice, for a lookup can miss it as well. */
	gone0 = b->seen0 != pass_number && !value0(key);
	gone1 = complete && b->seen1 != pass_number && !value1(key);
	if (!gone0)
		b->miss0 = 0;
	if (!gone1)
		b->miss1 = 0;
	if (!gone0 && !gone1) {
		if (b->seen0 != pass_number || (complete && b->seen1 != pass_number))
			sync_key(key, b, 0, 0);
		return 0;
	}
	/* One absence proves nothing (rule 8); two sides that both miss a key do. */
	if (!(gone0 && gone1)) {
		if (gone0 && !b->miss0) {
			b->miss0 = pass_number;
			wait = true;
		}
		if (gone1 && !b->miss1) {
			b->miss1 = pass_number;
			wait = true;
		}
	}
	if (!wait)
		act_on_absence(key, b, gone0, gone1);
	else if (phase == MS_PRECOPY || keep_delta || gone0 == active1())
		stats.pending++;
	return 0;
}

/* Rule 10: entries are freed here only, while no sync can run. */
static long sweep_one(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	if (!b->present && b->seen0 != pass_number && b->seen1 != pass_number)
		bpf_map_delete_elem(&base, key);
	return 0;
}

/* Rule 12: what an agent that died may have left locked. */
static long unlock_one(struct bpf_map *map, void *key, struct ms_base *b, void *ctx)
{
	b->busy = b->dirty = 0;
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

/* Compares the two sides as they are, without base and without writing. */
struct verify_job {
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
	if (f->op == MS_OP_FIRST) /* each side may have created the key */
		return 0;
	x = load(v->v0, f->off0, f->size0, size0);
	y = load(v->v1, f->off1, f->size1, size1);
	if (f->op == MS_OP_SUM) { /* equal as far as the narrower one can tell */
		u8 width = f->size0 < f->size1 ? f->size0 : f->size1;

		if (truncate(x, width) == truncate(y, width))
			return 0;
		if (f->size1 < f->size0 && y == scalar_max(f->size1, f->flags & MS_F_SIGNED1))
			return 0;
	} else if (to_side1(f, x, &clamped) == y || to_side0(f, y, &clamped) == x) {
		return 0;
	}
	v->differs = 1;
	return 1;
}

static long verify_one(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct verify_job v = {value, 0, 0};

	stats.visited0++;
	if (percpu)
		v.v0 = value0(key);
	v.v1 = value1(key);
	if (v.v0 && v.v1) {
		bpf_loop(nr_fields, verify_field, &v, 0);
	} else {
		v.differs = !arrays;
	}
	if (v.differs)
		mismatched++;
	return 0;
}

/* A key that only side 1 has. */
static long verify_extra(struct bpf_map *map, void *key, void *value, void *ctx)
{
	stats.visited1++;
	if (!arrays && !value0(key))
		mismatched++;
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
