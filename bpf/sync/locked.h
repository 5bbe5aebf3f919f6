/* SPDX-License-Identifier: GPL-2.0-only */
/* Whole values around the lock that they hold. */
#ifndef MAPSHIFT_LOCKED_H
#define MAPSHIFT_LOCKED_H

#include "scalar.h"

/* The verifier lets nobody touch the lock, and wants offsets that it knows: this is walked word by word. */
static __always_inline void copy_around_lock(void *to, const void *from, u32 size, u32 lock)
{
	u32 at;

	for (at = 0; at + 8 <= size; at += 8) {
		if (at != (lock & ~7u)) {
			*(volatile u64 *)(to + at) = *(volatile u64 *)(from + at);
		} else {
			u32 half = lock & 4 ? at : at + 4;

			*(volatile u32 *)(to + half) = *(volatile u32 *)(from + half);
		}
	}
	for (; at + 4 <= size; at += 4) {
		if (at != lock)
			*(volatile u32 *)(to + at) = *(volatile u32 *)(from + at);
	}
	for (; at < size; at++)
		*(volatile u8 *)(to + at) = *(volatile u8 *)(from + at);
}

/* Whether two values differ anywhere but in the lock. */
static __always_inline bool differs_around_lock(const void *a, const void *b, u32 size, u32 lock)
{
	u64 differs = 0;
	u32 at;

	for (at = 0; at + 4 <= size; at += 4) {
		if (at != lock)
			differs |= *(volatile u32 *)(a + at) ^ *(volatile u32 *)(b + at);
	}
	for (; at < size; at++)
		differs |= *(volatile u8 *)(a + at) ^ *(volatile u8 *)(b + at);
	return differs;
}

/* Copies a value, under its lock where it has one: to a map's element of its size. */
#define COPY_VALUE(side, to, v, size)                                      \
	do {                                                               \
		if (lock##side != MS_NO_LOCK) {                            \
			bpf_spin_lock((v) + lock##side);                   \
			copy_around_lock(to, v, size, lock##side);         \
			bpf_spin_unlock((v) + lock##side);                 \
		} else {                                                   \
			bpf_probe_read_kernel(to, size, v);                \
		}                                                          \
	} while (0)

#endif
