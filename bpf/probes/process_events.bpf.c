// SPDX-License-Identifier: GPL-2.0-only
// Tells user space which processes have executed a program. One small record an exec; what it means is found out there.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

// Records that found no room. User space looks at all processes again when it grows.
__u64 lost;

SEC("tracepoint/sched/sched_process_exec")
int on_exec(void *ctx)
{
	// Of the thread group in the first pid namespace: any thread may exec, and takes its leader's id.
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (bpf_ringbuf_output(&events, &pid, sizeof(pid), 0))
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
