/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The queue of keys that were written: any number of producers in any context, one consumer, no locks. The kernel's own
 * (BPF_MAP_TYPE_QUEUE) cannot be read by programs that may sleep, as the pass thread's are, before Linux 6.12 (seen: 6.1).
 *
 * The element 0 holds the number of places taken since the beginning. Place n lies behind it at n modulo the size, on lap
 * n / size: free when its turn is twice the lap, and one more when its key can be read. A place that was taken and not yet
 * filled hides those behind it: who fills it wakes the consumer.
 */
#ifndef MAPSHIFT_QUEUE_H
#define MAPSHIFT_QUEUE_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#define MS_PUSH_TRIES 8

struct ms_place {
	__u64 turn;
	__u8 key[]; /* key_size, rounded up to 8 */
};

/* Put in its place before load; the size is 1 << written_shift, and one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__uint(value_size, 16);
} written SEC(".maps");

const volatile __u32 written_shift;

static __always_inline struct ms_place *place_of(__u64 n)
{
	__u32 at = 1 + (n & ((1ull << written_shift) - 1));

	return bpf_map_lookup_elem(&written, &at);
}

/* False: full, or too many others push at this moment. */
static __always_inline bool push_written(const void *key, __u32 size)
{
	__u32 zero = 0;
	struct ms_place *head = bpf_map_lookup_elem(&written, &zero), *place;
	int i;

	if (!head)
		return false;
	for (i = 0; i < MS_PUSH_TRIES; i++) {
		__u64 n = *(volatile __u64 *)&head->turn, turn = n >> written_shift << 1;

		place = place_of(n);
		if (!place)
			return false;
		if (*(volatile __u64 *)&place->turn != turn) {
			if (*(volatile __u64 *)&head->turn == n)
				return false;
			continue;
		}
		if (__sync_val_compare_and_swap(&head->turn, n, n + 1) != n)
			continue;
		bpf_probe_read_kernel(place->key, size, key);
		__sync_lock_test_and_set(&place->turn, turn + 1);
		return true;
	}
	return false;
}

/* The key of place n, which the consumer counts. False: nothing is there yet. */
static __always_inline bool pop_written(__u64 n, void *key, __u32 size)
{
	__u64 turn = (n >> written_shift << 1) + 1;
	struct ms_place *place = place_of(n);

	if (!place || __sync_fetch_and_add(&place->turn, 0) != turn)
		return false;
	bpf_probe_read_kernel(key, size, place->key);
	__sync_lock_test_and_set(&place->turn, turn + 1);
	return true;
}

#endif
