// SPDX-License-Identifier: GPL-2.0-only
// balancer 2: against version 1 a backend has a weight and its fields changed places, a range has an owner, and the loads of
// backends are widened and reordered.
#include "balancer.bpf.h"

// Who takes what falls to a place of a service's table; written by user space.
struct backend {
	__u32 id; // where in `loads` it counts
	__be32 address;
	__u16 weight MS_DEFAULT(1); // for user space, which fills the places by it
	__u16 flags;
};

struct places {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PLACES);
	__type(key, __u32);
	__type(value, struct backend);
};

// One table for each service; user space makes them as services come and go.
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, SERVICES_MAX);
	__type(key, struct service);
	__array(values, struct places);
} services SEC(".maps");

// Ranges of sources, the longest prefix decides; written by user space.
struct range {
	__u32 owner;    // for user space
	__u32 kept_out; // 1: packets are dropped
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct source);
	__type(value, struct range);
} sources SEC(".maps");

// What each backend was given.
struct load {
	__u64 bytes MS_SUM;
	__u64 packets MS_SUM;
	__u64 last_seen MS_MAX; // CLOCK_MONOTONIC, ns
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BACKENDS_MAX);
	__type(key, __u32);
	__type(value, struct load);
} loads SEC(".maps");

static __always_inline bool may_enter(const struct source *source)
{
	struct range *range = bpf_map_lookup_elem(&sources, source);

	return !range || !range->kept_out;
}

static __always_inline void count_backend(__u32 id, __u32 length)
{
	struct load *load = bpf_map_lookup_elem(&loads, &id);
	__u64 now = bpf_ktime_get_ns();

	if (!load)
		return;
	__sync_fetch_and_add(&load->packets, 1);
	__sync_fetch_and_add(&load->bytes, length);
	if (now > load->last_seen)
		load->last_seen = now;
}

#include "balancer_steer.bpf.h"

char LICENSE[] SEC("license") = "GPL";
