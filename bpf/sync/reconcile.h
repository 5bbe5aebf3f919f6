/* SPDX-License-Identifier: GPL-2.0-only */
/* One visit of a key that both sides have: the values taken, merged field by field, brought back. */
#ifndef MAPSHIFT_RECONCILE_H
#define MAPSHIFT_RECONCILE_H

#include "merge.h"

static __always_inline void reconcile_live(struct job *j)
{
	u64 unsafe;

	if (percpu && work.fresh) {
		bool used0 = changed0(j->v0, j->b0), used1 = changed1(j->v1, j->b1);

		work.only0 = used0 && !used1;
		work.only1 = used1 && !used0;
	}
	each_field(scan_field, j);
	unsafe = work.wide & (active1() ? work.group0 & ~work.group1 : work.group1 & ~work.group0) & work.differs;
	if (work.group0 & work.group1 & work.differs)
		stats.conflicts++;
	each_field(merge_field, j);
	if (unsafe || work.unsafe)
		stats.unsafe_wide++;
}

/* Of staged values: brings what was reconciled in the copies to both sides, and what arrived to base. */
static __always_inline void unstage(struct staged_job *s)
{
	if (transformed && !has_down)
		work.moved1 = 0;
	apply1();
	if (phase != MS_PRECOPY) {
		apply0();
		follow_down();
	}
	find_alive(&work.before, s->now0, false);
	find_alive(&work.after, s->now1, true);
	each_field(settle_field, s);
}

/* Staged values are given as their copies. */
static __noinline int reconcile(void *key, struct ms_base *b, void *v0, void *v1)
{
	u64 *slot = b ? slot_of(b) : 0;
	struct staged_job s = {};
	struct job j = {};

	if (!slot || !v0 || !v1 || !key)
		return 0;
	j.v0 = v0;
	j.v1 = v1;
	j.b0 = slot0(slot);
	j.b1 = base1(b, slot);
	if (staged) {
		if (!open_stage(&s))
			return 0;
		s.slot = slot;
		bpf_probe_read_kernel(s.copy, SLOT_SIZE, slot);
		j.b0 = slot0(s.copy);
		j.b1 = slot1(s.copy);
	}
	start_job(slot);
	find_alive(&work.alive0, j.v0, false);
	find_alive(&work.alive1, j.v1, true);
	find_alive(&work.alive_base, j.b0, false);
	work.undeclared = any_undeclared(&work.alive0) || any_undeclared(&work.alive1);
	if (phase == MS_PRECOPY) {
		work.defaulted = work.fresh && nr_defaults && !transformed; /* what a function fills in had them before */
		if (work.defaulted && !staged)
			bpf_loop(nr_defaults, default_one, &j.v1, 0);
		each_field(precopy_field, &j);
	} else {
		reconcile_live(&j);
	}
	if (staged)
		unstage(&s);
	if (work.failed)
		stats.pending++;
	if (!work.failed)
		*slot = MS_SLOT_SYNCED;
	b->present = 1;
	b->miss0 = b->miss1 = 0;
	stats.clamped += work.clamped;
	if (work.moved0 | work.moved1) {
		stats.changed++;
		stats.undeclared += work.undeclared;
		remember_hot(key);
	}
	if (!(active1() || phase == MS_PRECOPY ? work.moved0 : work.moved1))
		return 0;
	stats.from_passive++;
	/* An element that was replaced meanwhile may have got what was not its own: the risk is counted. */
	if (phase != MS_PRECOPY && (work.risky || (!staged && (value0(key) != v0 || value1(key) != v1))))
		stats.risky++;
	return 0;
}

#endif
