/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scalars of 1, 2, 4 and 8 bytes at offsets that the verifier does not know: loads, stores, atomic adds,
 * compare-and-swap and conversions. `limit` is the size of the value behind `p`, a constant to the verifier, so that
 * one comparison proves the access.
 */
#ifndef MAPSHIFT_SCALAR_H
#define MAPSHIFT_SCALAR_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

/* Macros, so that BTF and the skeleton made of it name the kernel's own types. */
#define u8 __u8
#define u16 __u16
#define u32 __u32
#define s32 __s32
#define u64 __u64
#define s64 __s64

#define CAS_TRIES 8

#define FITS(off, size, limit) ((limit) >= (size) && (off) <= (limit) - (size))

/*
 * An offset in a register of its own, just before it is compared and used. Verifiers before 6.8 do not carry what a comparison proved
 * to the place on the stack that the register was loaded from, so an offset that is loaded anew for its use is unknown again.
 */
static __always_inline u64 at_hand(u64 off)
{
	__asm__ volatile("" : "+r"(off));
	return off;
}

static __always_inline u64 load(const void *p, u32 off, u8 size, u32 limit)
{
	u64 at;

	switch (size) {
	case 1:
		at = at_hand(off);
		return FITS(at, 1, limit) ? *(volatile u8 *)(p + at) : 0;
	case 2:
		at = at_hand(off);
		return FITS(at, 2, limit) ? *(volatile u16 *)(p + at) : 0;
	case 4:
		at = at_hand(off);
		return FITS(at, 4, limit) ? *(volatile u32 *)(p + at) : 0;
	default:
		at = at_hand(off);
		return FITS(at, 8, limit) ? *(volatile u64 *)(p + at) : 0;
	}
}

static __always_inline void store(void *p, u32 off, u8 size, u32 limit, u64 v)
{
	u64 at;

	switch (size) {
	case 1:
		at = at_hand(off);
		if (FITS(at, 1, limit))
			*(volatile u8 *)(p + at) = v;
		break;
	case 2:
		at = at_hand(off);
		if (FITS(at, 2, limit))
			*(volatile u16 *)(p + at) = v;
		break;
	case 4:
		at = at_hand(off);
		if (FITS(at, 4, limit))
			*(volatile u32 *)(p + at) = v;
		break;
	default:
		at = at_hand(off);
		if (FITS(at, 8, limit))
			*(volatile u64 *)(p + at) = v;
	}
}

static __always_inline u64 truncate(u64 v, u8 size)
{
	return size >= 8 ? v : v & ((1ull << (size * 8)) - 1);
}

static __always_inline s64 sign_extend(u64 v, u8 size)
{
	u32 shift = 64 - 8 * (u32)(size & 15);

	return (s64)(v << (shift & 63)) >> (shift & 63);
}

/* The word of 4 bytes around a scalar of 1 or 2: BPF has no narrower atomics. */
static __always_inline bool word_cas(void *p, u32 off, u8 size, u32 limit, u64 expect, u64 v, bool add)
{
	u32 shift = (off & 3) * 8, mask = (size == 1 ? 0xffu : 0xffffu) << shift;
	u64 word = at_hand(off & ~3u);

	if (!FITS(word, 4, limit))
		return false;
	for (int i = 0; i < CAS_TRIES; i++) {
		u32 old = *(volatile u32 *)(p + word), field = (old & mask) >> shift, next;

		if (!add && field != (u32)expect)
			return false;
		next = add ? field + (u32)v : (u32)v;
		if (__sync_val_compare_and_swap((u32 *)(p + word), old, (old & ~mask) | ((next << shift) & mask)) == old)
			return true;
	}
	return false;
}

/*
 * Atomics want aligned addresses. The masks only prove that to the verifier: user space lets no misaligned scalar get
 * here.
 *
 * False: nothing was added, try at the next visit.
 */
static __always_inline bool atomic_add(void *p, u32 off, u8 size, u32 limit, u64 v)
{
	u64 at;

	switch (size) {
	case 8:
		at = at_hand(off & ~7u);
		if (!FITS(at, 8, limit))
			return false;
		__sync_fetch_and_add((u64 *)(p + at), v);
		return true;
	case 4:
		at = at_hand(off & ~3u);
		if (!FITS(at, 4, limit))
			return false;
		__sync_fetch_and_add((u32 *)(p + at), (u32)v);
		return true;
	default:
		return word_cas(p, off, size, limit, 0, v, true);
	}
}

static __always_inline bool cas(void *p, u32 off, u8 size, u32 limit, u64 expect, u64 v)
{
	u64 at;

	switch (size) {
	case 8:
		at = at_hand(off & ~7u);
		return FITS(at, 8, limit) && __sync_val_compare_and_swap((u64 *)(p + at), expect, v) == expect;
	case 4:
		at = at_hand(off & ~3u);
		return FITS(at, 4, limit) &&
		       __sync_val_compare_and_swap((u32 *)(p + at), (u32)expect, (u32)v) == (u32)expect;
	default:
		return word_cas(p, off, size, limit, expect, v, false);
	}
}

/* Largest and smallest value of a scalar, as the 64 bits of its own signedness. */
static __always_inline u64 scalar_max(u8 size, bool is_signed)
{
	u64 all = truncate(~0ull, size);

	return is_signed ? all >> 1 : all;
}

/*
 * `v` (raw bytes of a scalar of `from` bytes) as a scalar of `to` bytes. A value that does not fit becomes the nearest
 * one that does, and *clamped is set.
 */
static __always_inline u64 convert(u64 v, u8 from, bool from_signed, u8 to, bool to_signed, bool *clamped)
{
	u64 top = scalar_max(to, to_signed);

	if (from == to && from_signed == to_signed)
		return v;
	if (from_signed) {
		s64 s = sign_extend(v, from);

		if (s < 0) {
			if (!to_signed) {
				*clamped = true;
				return 0;
			}
			if (s < -(s64)top - 1) {
				*clamped = true;
				s = -(s64)top - 1;
			}
			return truncate((u64)s, to);
		}
	}
	if (v > top) {
		*clamped = true;
		v = top;
	}
	return v;
}

#endif
