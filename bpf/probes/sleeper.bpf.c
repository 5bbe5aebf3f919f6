// SPDX-License-Identifier: GPL-2.0-only
// A program that may sleep and takes its time: whoever says to wait for such programs must not be back before its end.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} state SEC(".maps"); /* 0: it runs, 1: it is over */

struct request {
	__u64 nanoseconds;
};

static long until(__u32 turn, __u64 *deadline)
{
	return bpf_ktime_get_ns() >= *deadline;
}

static __always_inline void say(__u32 what)
{
	__u64 *said = bpf_map_lookup_elem(&state, &what);

	if (said)
		*(volatile __u64 *)said = 1;
}

SEC("syscall")
int take_time(struct request *ctx)
{
	__u64 deadline = bpf_ktime_get_ns() + ctx->nanoseconds;

	say(0);
	bpf_loop(1 << 23, until, &deadline, 0);
	say(1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
