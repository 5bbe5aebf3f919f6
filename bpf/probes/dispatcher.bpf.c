// SPDX-License-Identifier: GPL-2.0-only
// The stub behind every hook that does not change its program by itself: a hook whose link cannot be updated, or one that moves
// together with others. It is attached once; generations change by a single store to `word`, which is the hook's own, or to
// `course`, which all hooks of the module share. User space picks the program for the hook's kind, and its type, before load.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/course.h>

#include "flow.h"

/* What an event gets that finds no program: as if the hook were empty. */
const volatile __s32 empty_verdict = 0;
/* What the kernel lets this kind of program return. */
const volatile __u32 verdict_mask = 0xffffffff;

/* The same as empty_verdict, but nothing that the verifier could take for a constant. */
__s32 opaque_verdict SEC(".data") = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

/* Bit 0: the hook's own part of the active slot's number. The other bits are reserved. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} word SEC(".maps");

/* MS_COURSE_*. Mapped by user space, so that a store is one store. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} course SEC(".maps");

/* Events that reached the stub and no program: 0 as long as the active slot is never empty. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} misses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct ms_side);
} sides SEC(".maps");

static __always_inline void count_miss(void)
{
	__u32 zero = 0;
	__u64 *missed = bpf_map_lookup_elem(&misses, &zero);

	if (missed)
		__sync_fetch_and_add(missed, 1);
}

/*
 * A tail call from a function of its own replaces that function alone, so its answer comes back to the caller. Verifiers
 * before Linux 6.19 take the answer for what stands here: it must not be a constant.
 */
static __noinline int call_slot(void *ctx, __u32 slot)
{
	bpf_tail_call(ctx, &slots, slot);
	count_miss();
	return *(volatile __s32 *)&opaque_verdict;
}

static __always_inline int watch_slot(void *ctx, __u32 slot)
{
	struct ms_side *side = bpf_map_lookup_elem(&sides, &slot);
	__u64 began = 0;
	__u32 index;
	int answer;

	if (side && __sync_fetch_and_add(&side->events, 1) % MS_TIMED_EVERY == 0)
		began = bpf_ktime_get_ns();
	answer = call_slot(ctx, slot);
	if (side && began) {
		__sync_fetch_and_add(&side->ns, bpf_ktime_get_ns() - began);
		__sync_fetch_and_add(&side->timed, 1);
	}
	index = answer - MS_FIRST_VERDICT;
	if (index >= MS_VERDICTS)
		index = MS_VERDICTS - 1;
	if (side)
		__sync_fetch_and_add(&side->verdicts[index], 1);
	return answer & verdict_mask;
}

/* `flow`: the event's hash, asked for only where the share is one of flows. */
#define DISPATCH(ctx, flow)                                                                          \
	__u32 zero = 0, slot;                                                                        \
	__u64 *shared = bpf_map_lookup_elem(&course, &zero), now = 0;                                \
	__u32 *own = bpf_map_lookup_elem(&word, &zero);                                              \
	if (shared)                                                                                  \
		now = *(volatile __u64 *)shared;                                                     \
	slot = now & MS_COURSE_ODD;                                                                  \
	if (own)                                                                                     \
		slot ^= *(volatile __u32 *)own & 1;                                                  \
	if (now & ~MS_COURSE_ODD) {                                                                  \
		__u32 share = now >> MS_COURSE_SHARE_SHIFT;                                          \
		if (share && (now & MS_COURSE_BY_FLOW ? (flow) : bpf_get_prandom_u32()) < share)     \
			slot ^= 1;                                                                   \
		if (now & MS_COURSE_WATCHED)                                                         \
			return watch_slot(ctx, slot);                                                \
	}                                                                                            \
	bpf_tail_call(ctx, &slots, slot);                                                            \
	count_miss();                                                                                \
	return empty_verdict

SEC("tracepoint")
int dispatch(void *ctx)
{
	DISPATCH(ctx, MS_NO_FLOW);
}

SEC("xdp")
int dispatch_xdp(struct xdp_md *ctx)
{
	DISPATCH(ctx, ms_flow_of_xdp(ctx));
}

SEC("tc")
int dispatch_skb(struct __sk_buff *ctx)
{
	DISPATCH(ctx, ms_flow_of_skb(ctx));
}

char LICENSE[] SEC("license") = "GPL";
