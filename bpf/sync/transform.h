/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Old values that a function of the module's author turns into new ones.
 *
 * Side 0 is then known by its image: what `up` makes of the old value, in the new layout. Everything is reconciled between the
 * image and the new value, and base holds images. `down` turns a reconciled image into an old value; it finds the old value
 * there and writes what it knows of. That goes to side 0 word by word where the word still holds what was read, or as a whole
 * under the lock; base then gets the image of exactly what arrived, so that nothing is taken twice for a change, whatever
 * `down` leaves out. Without `down` nothing goes back.
 */
#ifndef MAPSHIFT_TRANSFORM_H
#define MAPSHIFT_TRANSFORM_H

#include "with.h"

/* The copies that staged values are worked on in (staged.h). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} was0 SEC(".maps"), was1 SEC(".maps"), now0 SEC(".maps"), now1 SEC(".maps"), after0 SEC(".maps"), after1 SEC(".maps"), base_copy SEC(".maps");

/* The author's functions take their place when the objects are linked. */
__weak __hidden int ms_up(const void *from, void *to)
{
	return 0;
}

__weak __hidden int ms_down(const void *from, void *to)
{
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} raw0 SEC(".maps"),   /* the old value, as read */
	given0 SEC(".maps"),   /* the same, for the author's function */
	wanted0 SEC(".maps"),  /* the old value as it should be */
	arrived0 SEC(".maps"), /* as far as it was written */
	blank0 SEC(".maps"), blank1 SEC(".maps"); /* never written: zero, or defaults */

/* The image of the old value in given0, and of what take_with() read, made in `image`: a map that holds one. */
static __always_inline bool make_image(void *image_map)
{
	u32 zero = 0;
	void *given = bpf_map_lookup_elem(&given0, &zero), *blank = bpf_map_lookup_elem(&blank1, &zero);
	void *image;

	if (!given || !blank)
		return false;
	bpf_map_update_elem(image_map, &zero, blank, BPF_ANY);
	image = bpf_map_lookup_elem(image_map, &zero);
	if (!image)
		return false;
	if (has_with)
		ms_up_with(given, given_with(), image);
	else
		ms_up(given, image);
	return true;
}

/* What the image in after0 is as an old value, in wanted0, over what that holds. */
static __always_inline bool make_old(void)
{
	u32 zero = 0;
	void *image = bpf_map_lookup_elem(&after0, &zero), *wanted = bpf_map_lookup_elem(&wanted0, &zero);

	if (!image || !wanted)
		return false;
	if (has_with && down_is_up)
		ms_up_with(image, given_with(), wanted);
	else if (has_with)
		ms_down_with(image, given_with(), wanted);
	else if (down_is_up) /* its own inverse: one name, which is linked once */
		ms_up(image, wanted);
	else
		ms_down(image, wanted);
	return true;
}

struct word_job {
	void *v, *raw, *wanted, *arrived;
};

static __always_inline void write_word(struct word_job *w, u32 at, u8 size)
{
	u64 was = load(w->raw, at, size, raw_size0), next = load(w->wanted, at, size, raw_size0);

	if (was == next)
		return;
	if (size >= 4 ? cas(w->v, at, size, raw_size0, was, next) : load(w->v, at, size, raw_size0) == was) {
		if (size < 4) /* behind the last whole word: no instruction reaches it */
			store(w->v, at, size, raw_size0, next);
		store(w->arrived, at, size, raw_size0, next);
	} else {
		work.partial = 1;
	}
}

static long write_word8(u32 i, struct word_job *w)
{
	if (i >= raw_size0 / 8)
		return 1;
	write_word(w, i * 8, 8);
	return 0;
}

static __always_inline void write_words(struct word_job *w)
{
	u32 at = raw_size0 & ~7u;

	if (raw_size0 >= 8)
		bpf_loop(raw_size0 / 8, write_word8, w, 0);
	if (raw_size0 & 4) {
		write_word(w, at, 4);
		at += 4;
	}
	if (raw_size0 & 2) {
		write_word(w, at, 2);
		at += 2;
	}
	if (raw_size0 & 1)
		write_word(w, at, 1);
}

static __always_inline void write_under_lock(struct word_job *w)
{
	bool differs;

	bpf_spin_lock(w->v + lock0);
	differs = differs_around_lock(w->v, w->raw, raw_size0, lock0);
	if (!differs)
		copy_around_lock(w->v, w->wanted, raw_size0, lock0);
	bpf_spin_unlock(w->v + lock0);
	if (differs)
		work.partial = 1;
	else
		bpf_probe_read_kernel(w->arrived, raw_size0, w->wanted);
}

/*
 * Brings the image in now0 to side 0 as an old value, and puts the image of what is there now into after0. Without a way
 * down, or with nothing to bring, after0 stays the image of what was read.
 */
static __always_inline void apply_image(void *key)
{
	u32 zero = 0;
	void *now = bpf_map_lookup_elem(&now0, &zero), *v, *given;
	struct word_job w = {
		0,
		bpf_map_lookup_elem(&raw0, &zero),
		bpf_map_lookup_elem(&wanted0, &zero),
		bpf_map_lookup_elem(&arrived0, &zero),
	};

	if (!has_down || !work.moved1 || !now || !w.raw || !w.wanted || !w.arrived)
		return;
	bpf_probe_read_kernel(w.wanted, raw_size0, w.raw);
	bpf_probe_read_kernel(w.arrived, raw_size0, w.raw);
	bpf_map_update_elem(&after0, &zero, now, BPF_ANY);
	make_old();
	v = value0(key);
	w.v = v;
	if (!v)
		work.partial = 1;
	else if (lock0 != MS_NO_LOCK)
		write_under_lock(&w);
	else
		write_words(&w);
	bpf_map_update_elem(&given0, &zero, w.arrived, BPF_ANY);
	given = bpf_map_lookup_elem(&given0, &zero);
	if (given)
		follow_with(key, given);
	make_image(&after0);
}

/*
 * The old value of a key that side 1 made, in wanted0, and its image in place of the one it was made from. What the second map
 * has is no part of what was counted there, so that the way down is told of none.
 */
static __always_inline void *old_from_image(void *key, void *image)
{
	u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&blank0, &zero), *wanted = bpf_map_lookup_elem(&wanted0, &zero);
	void *given = bpf_map_lookup_elem(&given0, &zero);

	if (!blank || !wanted || !given)
		return 0;
	bpf_map_update_elem(&wanted0, &zero, blank, BPF_ANY);
	bpf_map_update_elem(&after0, &zero, image, BPF_ANY);
	with_there = false;
	make_old();
	bpf_map_update_elem(&given0, &zero, wanted, BPF_ANY);
	take_with(key, given);
	make_image(&fresh0);
	return wanted;
}

#endif
