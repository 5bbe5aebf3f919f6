/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moves what waits in one queue or stack to another. Reading such a map is destructive: an element that user space had taken out
 * would be gone with a process that dies before it puts it back. A program runs to its end whatever becomes of its caller.
 *
 * Raw tracepoint programs, run by hand and attached nowhere: programs that may sleep, as those for BPF_PROG_TYPE_SYSCALL, cannot use
 * these maps on Linux 6.1 (6.12 allows it).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

/* Placeholders, replaced before load. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1);
	__uint(value_size, 8);
} from SEC(".maps"), to SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
} element SEC(".maps");

/* Arguments and results. */
__u32 at_most;
__u64 moved;
bool full, lost;

static long take_one(__u32 i, void *ctx)
{
	__u32 zero = 0;
	void *value = bpf_map_lookup_elem(&element, &zero);

	if (!value || bpf_map_pop_elem(&from, value))
		return 1;
	if (bpf_map_push_elem(&to, value, 0)) {
		lost = true; /* never: the caller made room */
		return 1;
	}
	moved++;
	return 0;
}

static long hand_one(__u32 i, void *ctx)
{
	__u32 zero = 0;
	void *value = bpf_map_lookup_elem(&element, &zero);

	if (!value || bpf_map_peek_elem(&from, value))
		return 1;
	if (bpf_map_push_elem(&to, value, 0)) {
		full = true;
		return 1;
	}
	bpf_map_pop_elem(&from, value);
	moved++;
	return 0;
}

/* From a map that others use into one that has room. */
SEC("raw_tp") int take(void *ctx)
{
	bpf_loop(at_most, take_one, 0, 0);
	return 0;
}

/* From a map that nobody else uses into one that may be full. */
SEC("raw_tp") int hand_over(void *ctx)
{
	bpf_loop(at_most, hand_one, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
