/* SPDX-License-Identifier: GPL-2.0-only */
/* Creating a key on the other side, always with its whole value (rule 3). */
#ifndef MAPSHIFT_CREATE_H
#define MAPSHIFT_CREATE_H

#include "reconcile.h"

#define ENOMEM 12

/*
 * Both sides of the key are laid out in fresh0 and fresh1; base is written from there once the kernel took the new
 * element, for until then nothing was carried over.
 */
struct fresh {
	void *v0, *v1; /* fresh0, fresh1 */
	void *from;    /* the value that exists */
	void *b0, *b1;
};

/* What the arms of unions cover may hold another key's arm. */
static long clear_arm(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (in_arm(f)) {
		set(f, c->v0, false, 0);
		set(f, c->v1, true, 0);
	}
	return 0;
}

static long fill_from0(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;
	u64 x;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, &work.alive0))
		return 0;
	x = held(f, c->from, &work.alive0, false);
	set(f, c->v0, false, x);
	set(f, c->v1, true, to_side1(f, x, &work.clamped));
	return 0;
}

static long fill_from1(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;
	u64 y;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	if (!is_alive(f, &work.alive1))
		return 0;
	y = held(f, c->from, &work.alive1, true);
	set(f, c->v1, true, y);
	set(f, c->v0, false, f->op == MS_OP_SUM ? sum_to_side0(f, y, &work.clamped) : to_side0(f, y, &work.clamped));
	return 0;
}

static long fill_base(u32 i, struct fresh *c)
{
	const volatile struct ms_field *f;

	if (i >= MS_MAX_FIELDS)
		return 1;
	f = &fields[i];
	set(f, c->b0, false, get(f, c->v0, false));
	set(f, c->b1, true, get(f, c->v1, true));
	return 0;
}

static __always_inline void count_refusal(long err, bool to1)
{
	/* Made there meanwhile, or no memory at this moment: the next visit sees more. */
	if (err == -EEXIST || err == -ENOMEM)
		stats.pending += err == -EEXIST || phase == MS_PRECOPY || to1 == active1();
	else if (to1)
		stats.full1++;
	else
		stats.full0++;
}

/* A function of its own keeps what the loop needs off the stack of create(), which Linux 6.1 rounds up to 32 bytes. */
static __noinline int look_at_arms(const void *from, bool side1)
{
	struct ms_alive *alive = side1 ? &work.alive1 : &work.alive0;

	find_alive(alive, from, side1);
	work.undeclared = any_undeclared(alive);
	return 0;
}

/*
 * Creates the key on side 1 (to1) or side 0 from the value on the other. The slot must be new. In a per-CPU map the
 * kernel fills the new element's slot of the running CPU and zeroes the others, which their own visits then reconcile.
 */
static __noinline int create(void *key, struct ms_base *b, void *from, bool to1)
{
	u32 zero = 0;
	u64 *slot = b ? slot_of(b) : 0;
	struct fresh c = {};
	long err;

	if (!slot || !from || !key || !on_target_cpu())
		return 0;
	c.v0 = bpf_map_lookup_elem(&fresh0, &zero);
	c.v1 = bpf_map_lookup_elem(&fresh1, &zero);
	work.clamped = work.undeclared = 0;
	c.from = from;
	c.b0 = slot0(slot);
	c.b1 = base1(b, slot);
	if (!c.v0 || !c.v1)
		return 0;
	if (nr_unions)
		each_field(clear_arm, &c);
	if (to1) {
		void *there = as_key1(key);

		if (!there) {
			stats.no_key1++;
			return 0;
		}
		if (nr_unions)
			look_at_arms(from, false);
		each_field(fill_from0, &c);
		err = bpf_map_update_elem(&side1, there, c.v1, BPF_NOEXIST);
	} else {
		void *made = c.v0;

		if (transformed && !has_down)
			return 0;
		if (nr_unions)
			look_at_arms(from, true);
		each_field(fill_from1, &c);
		if (transformed)
			made = old_from_image(c.v0);
		if (!made)
			return 0;
		err = bpf_map_update_elem(&side0, key, made, BPF_NOEXIST);
	}
	if (err) {
		count_refusal(err, to1);
		return 0;
	}
	if (has_with && !to1)
		c.v1 = c.v0; /* laid out alike */
	each_field(fill_base, &c);
	*slot = MS_SLOT_SYNCED;
	b->present = 1;
	b->miss0 = b->miss1 = 0;
	if (to1)
		b->seen1 = pass_number;
	else
		b->seen0 = pass_number;
	stats.added++;
	stats.clamped += work.clamped;
	stats.undeclared += work.undeclared;
	if (phase == MS_PRECOPY || to1 == active1())
		stats.from_passive++;
	remember_hot(key);
	return 1;
}

#endif
