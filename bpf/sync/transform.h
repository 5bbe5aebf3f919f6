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

#define EEXIST 17

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

static __always_inline void write_word(struct word_job *w, u32 at, u8 size, u32 whole)
{
	u64 was = load(w->raw, at, size, whole), next = load(w->wanted, at, size, whole);

	if (was == next)
		return;
	if (size >= 4 ? cas(w->v, at, size, whole, was, next) : load(w->v, at, size, whole) == was) {
		if (size < 4) /* behind the last whole word: no instruction reaches it */
			store(w->v, at, size, whole, next);
		store(w->arrived, at, size, whole, next);
	} else {
		work.partial = 1;
	}
}

/* Writers of old values: of side 0, and of the second map. `whole` is a constant each. */
#define DEFINE_WRITE(name, whole, lock)                                                      \
	static long write_word8_##name(u32 i, struct word_job *w)                            \
	{                                                                                    \
		if (i >= (whole) / 8)                                                        \
			return 1;                                                            \
		write_word(w, i * 8, 8, whole);                                              \
		return 0;                                                                    \
	}                                                                                    \
	static __always_inline void write_words_##name(struct word_job *w)                   \
	{                                                                                    \
		u32 at = (whole) & ~7u;                                                      \
                                                                                             \
		if ((whole) >= 8)                                                            \
			bpf_loop((whole) / 8, write_word8_##name, w, 0);                     \
		if ((whole) & 4) {                                                           \
			write_word(w, at, 4, whole);                                         \
			at += 4;                                                             \
		}                                                                            \
		if ((whole) & 2) {                                                           \
			write_word(w, at, 2, whole);                                         \
			at += 2;                                                             \
		}                                                                            \
		if ((whole) & 1)                                                             \
			write_word(w, at, 1, whole);                                         \
	}                                                                                    \
	static __always_inline void write_under_lock_##name(struct word_job *w)              \
	{                                                                                    \
		bool differs;                                                                \
                                                                                             \
		bpf_spin_lock(w->v + (lock));                                                \
		differs = differs_around_lock(w->v, w->raw, whole, lock);                    \
		if (!differs)                                                                \
			copy_around_lock(w->v, w->wanted, whole, lock);                      \
		bpf_spin_unlock(w->v + (lock));                                              \
		if (differs)                                                                 \
			work.partial = 1;                                                    \
		else                                                                         \
			bpf_probe_read_kernel(w->arrived, whole, w->wanted);                 \
	}                                                                                    \
	/* Writes what differs between `raw` and `wanted`, where `raw` is still there. */    \
	static __always_inline void write_##name(struct word_job *w)                         \
	{                                                                                    \
		if (!w->v)                                                                   \
			work.partial = 1;                                                    \
		else if ((lock) != MS_NO_LOCK)                                               \
			write_under_lock_##name(w);                                          \
		else                                                                         \
			write_words_##name(w);                                               \
	}
DEFINE_WRITE(old, raw_size0, lock0)
DEFINE_WRITE(with, with_size, lock2)

struct blank_job {
	const u8 *value;
	bool says;
};

static long read_byte(u32 i, struct blank_job *j)
{
	if (i >= with_size)
		return 1;
	j->says |= j->value[i] != 0;
	return 0;
}

/* An entry that the second map has not is made where the way back has something to say in it. */
static __always_inline void make_with(void *key, void *wanted)
{
	struct blank_job j = {wanted, false};
	u32 zero = 0;
	long err;

	bpf_loop(with_size, read_byte, &j, 0);
	if (!j.says)
		return;
	err = bpf_map_update_elem(&with, key, wanted, BPF_NOEXIST);
	if (err) {
		stats.full0 += err != -EEXIST;
		work.partial = 1;
		return;
	}
	bpf_map_update_elem(&with_raw, &zero, wanted, BPF_ANY);
	with_there = true;
}

/* Brings the image in after0 to the second map; what take_with() read is what that holds then. */
static __always_inline int apply_with(void *key)
{
	u32 zero = 0;
	void *image = bpf_map_lookup_elem(&after0, &zero), *blank = bpf_map_lookup_elem(&with_blank, &zero);
	struct word_job w = {
		0,
		bpf_map_lookup_elem(&with_given, &zero),
		bpf_map_lookup_elem(&with_wanted, &zero),
		bpf_map_lookup_elem(&with_raw, &zero),
	};

	if (!image || !blank || !w.raw || !w.wanted || !w.arrived)
		return 0;
	bpf_map_update_elem(&with_wanted, &zero, with_there ? w.arrived : blank, BPF_ANY);
	ms_with_down(image, w.wanted);
	if (!with_there) {
		make_with(key, w.wanted);
		return 0;
	}
	bpf_map_update_elem(&with_given, &zero, w.arrived, BPF_ANY);
	w.v = bpf_map_lookup_elem(&with, key);
	write_with(&w);
	return 0;
}

/*
 * Brings the image in now0 to side 0 as an old value, and puts the image of what is there now into after0. Without a way
 * down, or with nothing to bring, after0 stays the image of what was read.
 */
static __always_inline void apply_image(void *key)
{
	u32 zero = 0;
	void *now = bpf_map_lookup_elem(&now0, &zero), *given;
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
	w.v = value0(key);
	write_old(&w);
	bpf_map_update_elem(&given0, &zero, w.arrived, BPF_ANY);
	given = bpf_map_lookup_elem(&given0, &zero);
	if (given)
		follow_with(key, given);
	make_image(&after0);
}

/* What apply_image() leaves to do: beside it and not within, for Linux 6.1 rounds each function's stack up to 32 bytes. */
static __noinline int follow_down(void)
{
	u32 zero = 0;
	void *now = bpf_map_lookup_elem(&now0, &zero), *key = bpf_map_lookup_elem(&walk_key, &zero);

	if (!has_with_down || !has_down || !work.moved1 || !now || !key)
		return 0;
	bpf_map_update_elem(&after0, &zero, now, BPF_ANY); /* the author's functions may have written in it */
	apply_with(key);
	make_image(&after0);
	return 0;
}

/*
 * The old value of a key that side 1 made, in wanted0, and its image in place of the one it was made from. Both leave the second map
 * out: it is brought together with the new value by the next visit, for which that image is the common ancestor (create()).
 */
static __always_inline void *old_from_image(void *image)
{
	u32 zero = 0;
	void *blank = bpf_map_lookup_elem(&blank0, &zero), *wanted = bpf_map_lookup_elem(&wanted0, &zero);

	if (!blank || !wanted)
		return 0;
	bpf_map_update_elem(&wanted0, &zero, blank, BPF_ANY);
	bpf_map_update_elem(&after0, &zero, image, BPF_ANY);
	with_there = false;
	make_old();
	bpf_map_update_elem(&given0, &zero, wanted, BPF_ANY);
	make_image(&fresh0);
	return wanted;
}

#endif
