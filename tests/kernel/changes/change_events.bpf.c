// SPDX-License-Identifier: GPL-2.0-only
// A module with a ring buffer of its own, which writes numbered events on demand.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum kind { EVENT_OPEN = 1, EVENT_SHUT = 2 };

struct event {
	__u64 number;
	enum kind kind;
	char who[12];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

const struct event *unused __attribute__((unused)); /* keeps the type in the BTF */

__u64 next;
__u32 count;
__u64 refused;

static long emit_one(__u32 i, void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		refused++;
		return 0;
	}
	e->number = ++next;
	e->kind = e->number % 2 ? EVENT_OPEN : EVENT_SHUT;
	__builtin_memcpy(e->who, "somebody\0\0\0\0", 12);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("syscall") int emit(void *ctx)
{
	bpf_loop(count, emit_one, 0, 0);
	return 0;
}

SEC("syscall") int emit_short(void *ctx)
{
	__u32 half = 7;

	bpf_ringbuf_output(&events, &half, sizeof(half), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
