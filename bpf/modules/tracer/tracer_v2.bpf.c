// SPDX-License-Identifier: GPL-2.0-only
// tracer 2: against version 1 the histogram has 24 buckets, for calls up to 16 ms, each of them 64 bits wide, the slowest
// call and the sum of all are kept, and calls that ended on another CPU are counted, for which what is known of a call under way has
// another layout, too. Version 3 builds from this file.
#include <linux/types.h>

struct start {
	__u32 cpu;
	__u32 pad;
	__u64 at; // CLOCK_MONOTONIC, ns
};

static __attribute__((always_inline)) inline void note(struct start *start);

#ifndef LATENCY
#define LATENCY latency
#define STARTED_MAX 4096
#endif
#include "tracer.bpf.h"

static __attribute__((always_inline)) inline void note(struct start *start)
{
	start->cpu = bpf_get_smp_processor_id();
}

#define FIRST_BUCKETS 16 // of version 1
#define BUCKETS 24

struct latency {
	__u64 calls MS_SUM;
	__u64 total_ns MS_SUM;
	__u64 slowest_ns MS_MAX;
	__u64 moved MS_SUM; // to another CPU while the call was under way
	__u64 buckets[BUCKETS] MS_SUM; // [i]: from 2^i ns; the last one and more
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct latency);
} LATENCY SEC(".maps");

static __always_inline void record(const struct start *start, __u64 took)
{
	__u32 zero = 0, bucket = log2_of(took);
	struct latency *mine = bpf_map_lookup_elem(&LATENCY, &zero);
	struct totals *all = my_totals();

	if (!mine || !all)
		return;
	if (bucket >= BUCKETS)
		bucket = BUCKETS - 1;
	__sync_fetch_and_add(&mine->calls, 1);
	__sync_fetch_and_add(&mine->total_ns, took);
	if (start->cpu != bpf_get_smp_processor_id())
		__sync_fetch_and_add(&mine->moved, 1);
	if (took > mine->slowest_ns)
		mine->slowest_ns = took;
	if (bucket >= FIRST_BUCKETS)
		__sync_fetch_and_add(&all->beyond, 1);
	__sync_fetch_and_add(&mine->buckets[bucket], 1);
}

#define ARGUMENTS 32

// Calls of the traced function.
struct work {
	__u64 calls MS_SUM;
	__u64 arguments[ARGUMENTS] MS_SUM; // [i]: from 2^i, but 0 is in the first one; the last one and more
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} work SEC(".maps");

static __always_inline void count_work(__u64 argument)
{
	__u32 zero = 0, bucket = log2_of(argument);
	struct work *mine = bpf_map_lookup_elem(&work, &zero);

	if (!mine)
		return;
	if (bucket >= ARGUMENTS)
		bucket = ARGUMENTS - 1;
	__sync_fetch_and_add(&mine->calls, 1);
	__sync_fetch_and_add(&mine->arguments[bucket], 1);
}

#include "tracer_hooks.bpf.h"

char LICENSE[] SEC("license") = "GPL";
