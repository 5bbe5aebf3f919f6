/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of tracer share: the system calls and function calls that are under way. */
#ifndef TRACER_BPF_H
#define TRACER_BPF_H
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include <mapshift/module.bpf.h>

const volatile __u32 traced_pid = 0; /* the process to trace, by the manifest */

/* In flight: lives from a call's start to its end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);   /* thread */
	__type(value, __u64); /* CLOCK_MONOTONIC, ns */
} started SEC(".maps");

struct totals {
	__u64 entered MS_SUM;
	__u64 ended MS_SUM;
	__u64 missed MS_SUM; /* ended, but the start was not seen: not in the histogram */
	__u64 worked MS_SUM; /* calls of the function */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

static __always_inline bool is_traced(__u32 *thread)
{
	__u64 id = bpf_get_current_pid_tgid();

	*thread = (__u32)id;
	return id >> 32 == traced_pid;
}

static __always_inline struct totals *my_totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&totals, &zero);
}

static __always_inline __u32 log2_of(__u64 value)
{
	__u32 bits = 0;

	if (value >> 32) {
		bits += 32;
		value >>= 32;
	}
	if (value >> 16) {
		bits += 16;
		value >>= 16;
	}
	if (value >> 8) {
		bits += 8;
		value >>= 8;
	}
	if (value >> 4) {
		bits += 4;
		value >>= 4;
	}
	if (value >> 2) {
		bits += 2;
		value >>= 2;
	}
	return bits + (value >> 1);
}

static __always_inline void begin(void)
{
	struct totals *all = my_totals();
	__u64 now = bpf_ktime_get_ns();
	__u32 thread;

	if (!all || !is_traced(&thread))
		return;
	__sync_fetch_and_add(&all->entered, 1);
	bpf_map_update_elem(&started, &thread, &now, BPF_ANY);
}

/* How long the call took, in ns; 0: its start was not seen. */
static __always_inline __u64 end(__u32 thread, struct totals *all)
{
	__u64 *start = bpf_map_lookup_elem(&started, &thread), took = 0;

	__sync_fetch_and_add(&all->ended, 1);
	if (start) {
		took = bpf_ktime_get_ns() - *start ?: 1;
		bpf_map_delete_elem(&started, &thread);
	} else {
		__sync_fetch_and_add(&all->missed, 1);
	}
	return took;
}

#endif
