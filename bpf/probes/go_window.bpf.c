// SPDX-License-Identifier: GPL-2.0-only
// Tier 2 of the Go probes, attached in short windows: what goroutines wait for and how long, how long runnable ones wait
// for a thread, network readiness, and calls of FD.Read and FD.Write. All is aggregated here: no record per event.
//
// Everything about goroutines comes from casgstatus(gp, old, new), which is entered just before the state changes.
#include <stdbool.h>

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/go.h>

#include "go_regs.h"

enum { RUNNABLE = 1, RUNNING = 2, SYSCALL = 3, WAITING = 4, DEAD = 6 };

/* Of the present window, which user space opens when all probes are attached and closes before it detaches the first: 0 is
 * closed, so that a window has sharp edges. What an earlier window left in the maps pairs with nothing, since between the
 * windows a goroutine may have run and waited many times. */
volatile __u32 window;
volatile __u64 window_began;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MS_GO_MAX_PROCESSES);
	__type(key, __u32);
	__type(value, struct ms_go_process);
} processes SEC(".maps");

struct call_key {
	__u64 g;
	__u32 tgid;
	__u32 pad;
};

struct since {
	__u64 at;
	__u32 window;
	__u8 state;	/* WAITING or RUNNABLE since then; 0: neither */
	__u8 reason;
	__u16 pad;
};

/* Without preallocation: there is one element for each goroutine that did anything in the window, and none between windows. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct call_key);
	__type(value, struct since);
} goroutines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct call_key);
	__type(value, struct since);
} calls SEC(".maps");

/* A process takes some 10 to 30: two for each reason that it waits for. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct ms_go_histogram_key);
	__type(value, struct ms_go_histogram);
} histograms SEC(".maps");

static const struct ms_go_histogram empty;

static struct ms_go_process *hit(__u32 *tgid, __u32 which)
{
	struct ms_go_process *process;

	*tgid = bpf_get_current_pid_tgid() >> 32;
	process = bpf_map_lookup_elem(&processes, tgid);
	/* The programs run with preemption but not migration allowed, so another thread may interrupt the addition on this CPU. */
	if (process)
		__sync_fetch_and_add(&process->hits[which], 1);
	return process;
}

/* (ns - 1) / 2^11 has as many bits as there are bounds below ns. */
static __u32 bucket_of(__u64 ns)
{
	__u64 rest = ns ? (ns - 1) >> MS_GO_FIRST_BOUND : 0;
	__u32 bits = 0;

	if (rest >> MS_GO_BOUNDS)
		return MS_GO_BOUNDS;
	if (rest >> 16) {
		bits += 16;
		rest >>= 16;
	}
	if (rest >> 8) {
		bits += 8;
		rest >>= 8;
	}
	if (rest >> 4) {
		bits += 4;
		rest >>= 4;
	}
	if (rest >> 2) {
		bits += 2;
		rest >>= 2;
	}
	if (rest >> 1) {
		bits += 1;
		rest >>= 1;
	}
	bits += rest;
	return bits < MS_GO_BOUNDS ? bits : MS_GO_BOUNDS;
}

static void observe(struct ms_go_process *process, __u32 tgid, __u16 kind, __u16 reason, __u64 ns)
{
	struct ms_go_histogram_key key = { .tgid = tgid, .kind = kind, .reason = reason };
	struct ms_go_histogram *histogram = bpf_map_lookup_elem(&histograms, &key);
	__u32 bucket = bucket_of(ns);

	if (!histogram) {
		bpf_map_update_elem(&histograms, &key, &empty, BPF_NOEXIST);
		histogram = bpf_map_lookup_elem(&histograms, &key);
		if (!histogram) {
			__sync_fetch_and_add(&process->lost, 1);
			return;
		}
	}
	if (bucket >= MS_GO_BUCKETS)
		return;
	__sync_fetch_and_add(&histogram->counts[bucket], 1);
	__sync_fetch_and_add(&histogram->sum, ns);
}

static __u8 wait_reason(const struct ms_go_process *process, __u64 g)
{
	__u8 reason = 255;

	bpf_probe_read_user(&reason, sizeof(reason), (void *)(g + process->waitreason));
	return reason;
}

/* Elements are kept and written in place, which costs half of what deleting and inserting does: Go uses the memory of
 * goroutines that ended again, so there are never more elements than there were goroutines at once. */
static void enter(struct ms_go_process *process, const struct call_key *key, struct since *old, __u8 state, __u8 reason, __u64 now)
{
	struct since fresh = { .at = now, .window = window, .state = state, .reason = reason };

	if (old) {
		old->at = now;
		old->reason = reason;
		old->window = fresh.window;
		old->state = state;
	} else if (bpf_map_update_elem(&goroutines, key, &fresh, BPF_ANY)) {
		__sync_fetch_and_add(&process->lost, 1);
	}
}

/* What ends is paired with its beginning in the same window; else it began before the window, which is a lower bound. */
static void leave(struct ms_go_process *process, const struct call_key *key, const struct since *old, __u8 state, __u64 now)
{
	bool waited = state == WAITING;
	__u64 began = window_began;

	if (old && old->window == window) {
		if (old->state == state)
			observe(process, key->tgid, waited ? MS_GO_BLOCK : MS_GO_RUN_QUEUE, waited ? old->reason : 0, now - old->at);
		return;
	}
	if (now > began)
		observe(process, key->tgid, waited ? MS_GO_BLOCK_LONGER : MS_GO_RUN_QUEUE_LONGER,
			waited ? wait_reason(process, key->g) : 0, now - began);
}

static void transition(struct ms_go_process *process, struct call_key *key, __u32 from, __u32 to)
{
	struct since *old = bpf_map_lookup_elem(&goroutines, key);
	__u64 now = bpf_ktime_get_ns();

	/* 4 to 2 is no wake: the goroutine was on the system stack. */
	if (from == WAITING && to == RUNNABLE)
		leave(process, key, old, WAITING, now);
	else if (from == RUNNABLE && to == RUNNING)
		leave(process, key, old, RUNNABLE, now);

	if (to == WAITING)
		enter(process, key, old, WAITING, wait_reason(process, key->g), now);
	else if (to == RUNNABLE)
		enter(process, key, old, RUNNABLE, 0, now);
	else
		enter(process, key, old, 0, 0, now);
}

static int status(struct pt_regs *ctx)
{
	__u32 from = GO_ARG2(ctx), to = GO_ARG3(ctx);
	struct call_key key = { .g = GO_ARG1(ctx) };
	struct ms_go_process *process;

	process = hit(&key.tgid, MS_GO_HIT_STATUS);
	if (!process)
		return 0;
	if (to == RUNNING && (from != SYSCALL || process->flags & MS_GO_SYSCALLS_RUN))
		__sync_fetch_and_add(&process->to_running, 1);
	if (from == RUNNING && to == DEAD)
		__sync_fetch_and_add(&process->ended, 1);
	if (!window)
		return 0;
	if (from == DEAD && (to == RUNNABLE || to == WAITING))
		__sync_fetch_and_add(&process->created, 1);
	if (from == RUNNING && to == DEAD) {
		__sync_fetch_and_add(&process->exited, 1);
		bpf_map_delete_elem(&goroutines, &key);
		return 0;
	}
	if (to == WAITING || to == RUNNABLE || (to == RUNNING && (from == RUNNABLE || from == WAITING)))
		transition(process, &key, from, to);
	return 0;
}

/* netpollready(toRun, pd, mode) */
static int netpoll_ready(struct pt_regs *ctx)
{
	struct ms_go_process *process;
	__u32 mode = GO_ARG3(ctx), tgid;

	process = hit(&tgid, MS_GO_HIT_NETPOLL);
	if (!process || !window)
		return 0;
	if (mode == 'r')
		__sync_fetch_and_add(&process->netpoll[0], 1);
	else if (mode == 'w')
		__sync_fetch_and_add(&process->netpoll[1], 1);
	else if (mode == 'r' + 'w')
		__sync_fetch_and_add(&process->netpoll[2], 1);
	return 0;
}

static int io_entry(struct pt_regs *ctx, __u8 operation)
{
	struct call_key key = { .g = GO_G(ctx) };
	struct since call = { .at = bpf_ktime_get_ns(), .window = window, .state = operation };
	struct ms_go_process *process = hit(&key.tgid, MS_GO_HIT_IO_ENTRY);

	if (process && window && bpf_map_update_elem(&calls, &key, &call, BPF_ANY))
		__sync_fetch_and_add(&process->lost, 1);
	return 0;
}

/* Returns (n int, err error): an error has a type, in the second register. */
static int io_return(struct pt_regs *ctx, __u8 operation)
{
	struct call_key key = { .g = GO_G(ctx) };
	struct ms_go_process *process = hit(&key.tgid, MS_GO_HIT_IO_RETURN);
	__u64 now = bpf_ktime_get_ns(), began = window_began;
	struct since *call;

	if (!process || !window)
		return 0;
	if (GO_RESULT2(ctx))
		__sync_fetch_and_add(&process->io_errors[operation & 1], 1);
	call = bpf_map_lookup_elem(&calls, &key);
	if (!call || call->window != window) {
		if (now > began)
			observe(process, key.tgid, MS_GO_IO_LONGER, operation, now - began);
	} else if (call->state == operation) {
		observe(process, key.tgid, MS_GO_IO_TIME, operation, now - call->at);
	}
	if (call)
		bpf_map_delete_elem(&calls, &key);
	return 0;
}

SEC("uprobe")
int hot(struct pt_regs *ctx)
{
	switch (bpf_get_attach_cookie(ctx)) {
	case MS_GO_AT_STATUS:
		return status(ctx);
	case MS_GO_AT_NETPOLL_READY:
		return netpoll_ready(ctx);
	case MS_GO_AT_READ:
		return io_entry(ctx, MS_GO_READ);
	case MS_GO_AT_READ_RETURN:
		return io_return(ctx, MS_GO_READ);
	case MS_GO_AT_WRITE:
		return io_entry(ctx, MS_GO_WRITE);
	case MS_GO_AT_WRITE_RETURN:
		return io_return(ctx, MS_GO_WRITE);
	}
	return 0;
}

/* Of one process, or of all: 0. */
struct forgotten {
	__u32 tgid;
};

static long drop(void *map, const void *key, void *value, void *ctx)
{
	const struct call_key *call = key;
	const struct forgotten *who = ctx;

	if (!who->tgid || who->tgid == call->tgid)
		bpf_map_delete_elem(map, key);
	return 0;
}

/* Makes room: of all after a window, while no probe is attached; of a process when it has ended. */
SEC("syscall")
int forget(struct forgotten *ctx)
{
	struct forgotten who = { .tgid = ctx->tgid };

	bpf_for_each_map_elem(&goroutines, drop, &who, 0);
	bpf_for_each_map_elem(&calls, drop, &who, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
