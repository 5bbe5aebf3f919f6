// SPDX-License-Identifier: GPL-2.0-only
// tracer 1: how long the getpgid() calls of one process take, as a histogram of powers of two for each CPU, and how
// often it calls one of its own functions, by its first argument.
#include <linux/types.h>

struct start {
	__u64 at; // CLOCK_MONOTONIC, ns
};

static __attribute__((always_inline)) inline void note(struct start *start)
{
}

#define STARTED_MAX 4096
#include "tracer.bpf.h"

#define BUCKETS 16

struct latency {
	__u32 buckets[BUCKETS] MS_SUM; // [i]: from 2^i ns; the last one and more
	__u64 calls MS_SUM;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct latency);
} latency SEC(".maps");

static __always_inline void record(const struct start *start, __u64 took)
{
	__u32 zero = 0, bucket = log2_of(took);
	struct latency *mine = bpf_map_lookup_elem(&latency, &zero);

	if (!mine)
		return;
	if (bucket >= BUCKETS)
		bucket = BUCKETS - 1;
	__sync_fetch_and_add(&mine->calls, 1);
	__sync_fetch_and_add(&mine->buckets[bucket & (BUCKETS - 1)], 1);
}

#define ARGUMENTS 24

// Calls of the traced function.
struct work {
	__u32 arguments[ARGUMENTS] MS_SUM; // [i]: from 2^i, but 0 is in the first one; the last one and more
	__u32 calls MS_SUM;
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
