// SPDX-License-Identifier: GPL-2.0-only
// policy 2: against version 1 the values of `action` changed places, so that what is not set denies, a rule has a priority, and verdicts count
// bytes, too. Version 3 builds from this file: there the meaning of `priority` is turned round.
#include "policy.bpf.h"

enum action { ACTION_DENY, ACTION_ALLOW, ACTION_LOG };

#ifdef POLICY_HIGHEST_FIRST
#define RULE_EPOCH MS_EPOCH(2)
#else
#define RULE_EPOCH
#endif

struct rule {
	enum action action;
	__u32 id;                        // where in `verdicts` it counts
	__u32 priority MS_DEFAULT(100);  // version 2: the lowest comes first; version 3: the highest
	__u32 expires;                   // seconds since 1970; 0: never. Kept by user space
} RULE_EPOCH;

// Written by user space only.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RULES_MAX);
	__type(key, struct service);
	__type(value, struct rule);
} rules SEC(".maps");

struct verdict {
	__u64 last_seen MS_MAX; // CLOCK_MONOTONIC, ns
	__u64 packets MS_SUM;
	__u64 bytes MS_SUM;     // since version 2
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RULES_MAX);
	__type(key, __u32);
	__type(value, struct verdict);
} verdicts SEC(".maps");

static __always_inline bool comes_first(const struct rule *rule, const struct rule *other)
{
#ifdef POLICY_HIGHEST_FIRST
	return rule->priority > other->priority;
#else
	return rule->priority < other->priority;
#endif
}

// The rule of this service, or the one for all ports of the protocol (port 0) where that comes first.
static __always_inline struct rule *find_rule(const struct service *service)
{
	struct service whole = {.proto = service->proto};
	struct rule *rule = bpf_map_lookup_elem(&rules, service), *any = bpf_map_lookup_elem(&rules, &whole);

	if (!rule || !any)
		return rule ?: any;
	return comes_first(any, rule) ? any : rule;
}

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
	rule = find_rule(&service);
	if (!rule) {
		all->unmatched++;
		return XDP_PASS;
	}
	id = rule->id;
	verdict = bpf_map_lookup_elem(&verdicts, &id);
	if (verdict) {
		__sync_fetch_and_add(&verdict->packets, 1);
		__sync_fetch_and_add(&verdict->bytes, length);
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

static __always_inline void turn_priority(const struct rule *from, struct rule *to)
{
	to->action = from->action;
	to->id = from->id;
	to->priority = ~from->priority; // what came first still does
	to->expires = from->expires;
}

// Between versions 2 and 3, both ways: policy_v3_converted.json names them, as would the manifest for an update back to version 2.
MS_TRANSFORM(rule_up, struct rule, struct rule)
{
	turn_priority(from, to);
}

MS_TRANSFORM(rule_down, struct rule, struct rule)
{
	turn_priority(from, to);
}

char LICENSE[] SEC("license") = "GPL";
