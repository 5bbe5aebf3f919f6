// SPDX-License-Identifier: GPL-2.0-only
// policy 1: allows or drops packets by rules that user space writes, and counts verdicts by rule.
#include "policy.bpf.h"

enum action { ACTION_ALLOW, ACTION_DENY };

struct rule {
	__u32 id; // where in `verdicts` it counts
	enum action action;
};

// Written by user space only.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RULES_MAX);
	__type(key, struct service);
	__type(value, struct rule);
} rules SEC(".maps");

struct verdict {
	__u32 packets MS_SUM;
	__u32 pad;
	__u64 last_seen MS_MAX; // CLOCK_MONOTONIC, ns
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULES_MAX);
	__type(key, __u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

SEC("xdp")
int judge(struct xdp_md *ctx)
{
	struct totals *all;
	struct verdict *verdict;
	struct service service = {};
	struct rule *rule;
	__u32 zero = 0, length = 0, id;
	__u64 now = bpf_ktime_get_ns();

	all = bpf_map_lookup_elem(&totals, &zero);
	if (!all)
		return XDP_PASS;
	all->seen++; // XDP runs with bottom halves off: a CPU's slot has one writer
	if (!read_service(ctx, &service, &length)) {
		all->other++;
		return XDP_PASS;
	}
	rule = bpf_map_lookup_elem(&rules, &service);
	if (!rule) {
		all->unmatched++;
		return XDP_PASS;
	}
	id = rule->id;
	verdict = bpf_map_lookup_elem(&verdicts, &id);
	if (verdict) {
		__sync_fetch_and_add(&verdict->packets, 1);
		if (now > verdict->last_seen)
			verdict->last_seen = now;
	}
	if (rule->action == ACTION_DENY) {
		all->denied++;
		return XDP_DROP;
	}
	all->allowed++;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
