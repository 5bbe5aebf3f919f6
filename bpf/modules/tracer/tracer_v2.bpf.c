// SPDX-License-Identifier: GPL-2.0-only
// tracer 2: against version 1 the histogram has 24 buckets, for calls up to 16 ms, each of them 64 bits wide, and the slowest
// call and the sum of all are kept. Version 3 builds from this file.
#include "tracer.bpf.h"

#ifndef BUCKETS
#define BUCKETS 24
#define LATENCY latency
#endif

struct latency {
	__u64 calls MS_SUM;
	__u64 total_ns MS_SUM;
	__u64 slowest_ns MS_MAX;
	__u64 buckets[BUCKETS] MS_SUM; // [i]: from 2^i ns; the last one and more
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct latency);
} LATENCY SEC(".maps");

static __always_inline void record(__u64 took)
{
	__u32 zero = 0, bucket = log2_of(took);
	struct latency *mine = bpf_map_lookup_elem(&LATENCY, &zero);

	if (!mine)
		return;
	if (bucket >= BUCKETS)
		bucket = BUCKETS - 1;
	__sync_fetch_and_add(&mine->calls, 1);
	__sync_fetch_and_add(&mine->total_ns, took);
	if (took > mine->slowest_ns)
		mine->slowest_ns = took;
	__sync_fetch_and_add(&mine->buckets[bucket], 1);
}

#include "tracer_hooks.bpf.h"

char LICENSE[] SEC("license") = "GPL";
