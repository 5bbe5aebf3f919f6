// SPDX-License-Identifier: GPL-2.0-only
// The stub behind every hook whose link cannot be updated in place. It is attached once; generations change by a single
// store to `word`. User space sets the program's type before load (tracepoint, raw_tracepoint): the code is the same.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

/* Bit 0: the active slot. The other bits are reserved. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} word SEC(".maps");

/* Events that reached the stub and no program: 0 as long as the active slot is never empty. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} misses SEC(".maps");

SEC("tracepoint")
int dispatch(void *ctx)
{
	__u32 zero = 0;
	volatile __u32 *active = bpf_map_lookup_elem(&word, &zero);
	__u64 *missed;

	if (active)
		bpf_tail_call(ctx, &slots, *active & 1);
	missed = bpf_map_lookup_elem(&misses, &zero);
	if (missed)
		__sync_fetch_and_add(missed, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
