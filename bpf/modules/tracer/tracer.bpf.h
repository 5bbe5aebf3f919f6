/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of tracer share: the system calls that are under way. They define `struct start` and note(). */
#ifndef TRACER_BPF_H
#define TRACER_BPF_H
#include <linux/bpf.h>
#include <stdbool.h>

#include <asm/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <mapshift/module.bpf.h>

const volatile __u32 traced_pid = 0; /* the process to trace, by the manifest */

/* In flight: lives from a call's start to its end. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STARTED_MAX);
	__type(key, __u32); /* thread */
	__type(value, struct start);
} started SEC(".maps");

struct totals {
	__u64 entered MS_SUM;
	__u64 ended MS_SUM;
	__u64 missed MS_SUM; /* ended, but the start was not seen: not in the histogram */
	__u64 beyond MS_SUM; /* in buckets that version 1 has not: what a way back to it forgets */
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
	struct start start = {.at = bpf_ktime_get_ns()};
	__u32 thread;

	if (!all || !is_traced(&thread))
		return;
	__sync_fetch_and_add(&all->entered, 1);
	note(&start);
	bpf_map_update_elem(&started, &thread, &start, BPF_ANY);
}

/* False: its start was not seen, or not by a generation that has told the other one yet. */
static __always_inline bool end(__u32 thread, struct totals *all, struct start *out)
{
	struct start *start = bpf_map_lookup_elem(&started, &thread);

	__sync_fetch_and_add(&all->ended, 1);
	if (!start) {
		__sync_fetch_and_add(&all->missed, 1);
		return false;
	}
	*out = *start;
	bpf_map_delete_elem(&started, &thread);
	return true;
}

#endif
