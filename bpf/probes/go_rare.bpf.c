// SPDX-License-Identifier: GPL-2.0-only
// Tier 1 of the Go probes: every stop of the world and every collection, at functions that run a few times a second. One
// record each; user space reads the ring whenever it comes by, so nobody is woken up.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/go.h>

#include "go_regs.h"

/* A stop that is under way. The runtime holds worldsema meanwhile, so a process has one at most. */
struct stop {
	__u64 started, stopped;
	__u8 reason, hints;
	__u16 pad;
	__u32 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MS_GO_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct ms_go_rare_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MS_GO_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct stop);
} stops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} events SEC(".maps");

static struct ms_go_rare_process *hit(__u32 *tgid)
{
	struct ms_go_rare_process *process;

	*tgid = bpf_get_current_pid_tgid() >> 32;
	process = bpf_map_lookup_elem(&processes, tgid);
	if (process)
		__sync_fetch_and_add(&process->hits, 1);
	return process;
}

static void emit(struct ms_go_rare_process *process, const struct ms_go_event *event)
{
	if (bpf_ringbuf_output(&events, (void *)event, sizeof(*event), BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&process->lost, 1);
}

static struct stop *stop_of(__u32 tgid)
{
	static const struct stop none;

	bpf_map_update_elem(&stops, &tgid, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&stops, &tgid);
}

/* To 1.21, where the restart knows nothing of the stop. */
static int stop_world(struct pt_regs *ctx)
{
	struct ms_go_rare_process *process;
	struct stop *stop;
	__u32 tgid;

	process = hit(&tgid);
	if (!process)
		return 0;
	stop = stop_of(tgid);
	if (!stop)
		return 0;
	stop->started = bpf_ktime_get_ns();
	stop->stopped = 0;
	stop->reason = process->minor_version == 21 ? GO_ARG1(ctx) : MS_GO_NO_REASON;
	stop->hints = 0;
	return 0;
}

/* To 1.22. */
static int world_stopped(struct pt_regs *ctx)
{
	struct stop *stop;
	__u32 tgid;

	if (!hit(&tgid))
		return 0;
	stop = stop_of(tgid);
	if (stop)
		stop->stopped = bpf_ktime_get_ns();
	return 0;
}

/* startTheWorldWithSema(now, worldStop{reason, startedStopping, finishedStopping, ...}); finishedStopping since 1.23. */
static int start_world(struct pt_regs *ctx)
{
	struct ms_go_rare_process *process;
	struct stop *stop;
	__u32 tgid;

	process = hit(&tgid);
	if (!process)
		return 0;
	stop = stop_of(tgid);
	if (!stop)
		return 0;
	if (process->minor_version >= 22) {
		stop->reason = GO_ARG2(ctx);
		stop->started = GO_ARG3(ctx);
	}
	if (process->minor_version >= 23)
		stop->stopped = GO_ARG4(ctx);
	return 0;
}

/* It returns the time at which the world ran again, which is the one that the runtime's own histogram gets. */
static int world_started(struct pt_regs *ctx)
{
	struct ms_go_rare_process *process;
	struct ms_go_event event = { .kind = MS_GO_PAUSE };
	struct stop *stop;

	process = hit(&event.tgid);
	if (!process)
		return 0;
	stop = bpf_map_lookup_elem(&stops, &event.tgid);
	/* The world was stopped before the probes were there. */
	if (!stop || !stop->started)
		return 0;
	event.reason = stop->reason;
	event.hints = stop->hints;
	event.started = stop->started;
	event.stopped = stop->stopped > stop->started ? stop->stopped : 0;
	event.ended = GO_RESULT1(ctx);
	stop->started = 0;
	stop->stopped = 0;
	stop->hints = 0;
	__sync_fetch_and_add(&process->pauses, 1);
	emit(process, &event);
	return 0;
}

/* Once a cycle, while the world is stopped for the first time. */
static int gc_start(struct pt_regs *ctx)
{
	struct ms_go_rare_process *process;
	struct ms_go_event event = { .kind = MS_GO_GC_START };
	struct stop *stop;

	process = hit(&event.tgid);
	if (!process)
		return 0;
	stop = stop_of(event.tgid);
	if (stop)
		stop->hints |= MS_GO_HINT_SWEEP_TERMINATION;
	event.ended = bpf_ktime_get_ns();
	emit(process, &event);
	return 0;
}

/* Once a cycle, while the world is stopped for the last time. */
static int mark_termination(struct pt_regs *ctx)
{
	struct ms_go_rare_process *process;
	struct ms_go_event event = { .kind = MS_GO_MARK_TERMINATION };
	struct stop *stop;

	process = hit(&event.tgid);
	if (!process)
		return 0;
	stop = stop_of(event.tgid);
	if (stop)
		stop->hints |= MS_GO_HINT_MARK_TERMINATION;
	__sync_fetch_and_add(&process->cycles, 1);
	event.ended = bpf_ktime_get_ns();
	emit(process, &event);
	return 0;
}

SEC("uprobe")
int rare(struct pt_regs *ctx)
{
	switch (bpf_get_attach_cookie(ctx)) {
	case MS_GO_AT_STOP_WORLD:
		return stop_world(ctx);
	case MS_GO_AT_WORLD_STOPPED:
		return world_stopped(ctx);
	case MS_GO_AT_START_WORLD:
		return start_world(ctx);
	case MS_GO_AT_WORLD_STARTED:
		return world_started(ctx);
	case MS_GO_AT_GC_START:
		return gc_start(ctx);
	case MS_GO_AT_MARK_TERMINATION:
		return mark_termination(ctx);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
