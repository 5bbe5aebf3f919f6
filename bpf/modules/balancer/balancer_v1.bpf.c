// SPDX-License-Identifier: GPL-2.0-only
// balancer 1: spreads the IPv4 packets of a service over its backends by flow, and keeps ranges of sources out.
#include "balancer.bpf.h"

// Who takes what falls to a place of a service's table; written by user space.
struct backend {
	__be32 address;
	__u32 id; // where in `loads` it counts
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
	__u32 packets MS_SUM;
	__u32 bytes MS_SUM;
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

	if (!load)
		return;
	__sync_fetch_and_add(&load->packets, 1);
	__sync_fetch_and_add(&load->bytes, length);
}

#include "balancer_steer.bpf.h"

char LICENSE[] SEC("license") = "GPL";
