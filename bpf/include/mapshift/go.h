/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What the probes on the Go runtime and their user side share. Schema version 1: these maps are never pinned, so both
 * sides always come from one build.
 */
#ifndef MAPSHIFT_GO_H
#define MAPSHIFT_GO_H

#include <linux/types.h>

#ifdef __cplusplus
#define MS_GO_SIZE(type, size) static_assert(sizeof(struct type) == (size), #type)
#else
#define MS_GO_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
#endif

#define MS_GO_MAX_PROCESSES 512

/* Bucket i of a histogram holds what is longer than bound i - 1 and not longer than bound i = 2^(MS_GO_FIRST_BOUND + i)
 * nanoseconds; the last bucket has no bound. 2.048 us to 8.59 s, each twice the one before. */
#define MS_GO_FIRST_BOUND 11
#define MS_GO_BOUNDS 23
#define MS_GO_BUCKETS (MS_GO_BOUNDS + 1)

/* Where a probe is, as its cookie: one program serves all places of a tier, so that one link holds them and detaching waits
 * for the kernel once. */
enum ms_go_place {
	MS_GO_AT_STOP_WORLD = 1,
	MS_GO_AT_WORLD_STOPPED,
	MS_GO_AT_START_WORLD,
	MS_GO_AT_WORLD_STARTED,
	MS_GO_AT_GC_START,
	MS_GO_AT_MARK_TERMINATION,
	MS_GO_AT_STATUS,
	MS_GO_AT_NETPOLL_READY,
	MS_GO_AT_READ,
	MS_GO_AT_READ_RETURN,
	MS_GO_AT_WRITE,
	MS_GO_AT_WRITE_RETURN,
};

/* --- tier 1: each stop of the world, each collection --- */

enum ms_go_event_kind {
	MS_GO_PAUSE = 1,
	MS_GO_GC_START = 2,		/* only `ended` is set: the time of the probe */
	MS_GO_MARK_TERMINATION = 3,	/* likewise */
};

#define MS_GO_NO_REASON 255

/* What the collector did while the world was stopped: all there is to know before 1.21, whose runtime keeps no reasons. */
#define MS_GO_HINT_SWEEP_TERMINATION 1
#define MS_GO_HINT_MARK_TERMINATION 2

/* Times are CLOCK_MONOTONIC in nanoseconds, which is also what the runtime itself uses on Linux. */
struct ms_go_event {
	__u32 tgid;
	__u8 kind;
	__u8 reason;	/* number in the runtime's stwReasonStrings */
	__u8 hints;
	__u8 pad;
	__u64 started;	/* began to stop the world */
	__u64 stopped;	/* everything had stopped; 0: not known */
	__u64 ended;	/* the world ran again */
};
MS_GO_SIZE(ms_go_event, 32);

/* Per process; user space sets minor_version, the programs all else. */
struct ms_go_rare_process {
	__u32 minor_version;	/* of go1.MINOR: what the registers hold */
	__u32 pad;
	__u64 hits;
	__u64 pauses, cycles;	/* counted also when the ring had no room */
	__u64 lost;		/* events that the ring had no room for */
};
MS_GO_SIZE(ms_go_rare_process, 40);

/* --- tier 2: in windows --- */

enum ms_go_hit {
	MS_GO_HIT_STATUS,
	MS_GO_HIT_NETPOLL,
	MS_GO_HIT_IO_ENTRY,
	MS_GO_HIT_IO_RETURN,
	MS_GO_HITS,
};

enum ms_go_io {
	MS_GO_READ,
	MS_GO_WRITE,
	MS_GO_IO,
};

/* The runtime counts transitions from a system call as transitions to running: to 1.25. */
#define MS_GO_SYSCALLS_RUN 1

/* Per process and CPU; user space sets the first two members, the programs count the rest. */
struct ms_go_process {
	__u32 waitreason;	/* offset in g */
	__u32 flags;
	__u64 hits[MS_GO_HITS];
	__u64 to_running, ended;	/* for the cross-check: also while the window is closed */
	__u64 created, exited;
	__u64 netpoll[3];	/* r, w, rw */
	__u64 io_errors[MS_GO_IO];
	__u64 lost;
};
MS_GO_SIZE(ms_go_process, 120);

enum ms_go_histogram_kind {
	MS_GO_BLOCK,		/* from park to wake; `reason` is the wait reason */
	MS_GO_BLOCK_LONGER,	/* parked before the window began: a lower bound of the time */
	MS_GO_RUN_QUEUE,	/* from runnable to running */
	MS_GO_RUN_QUEUE_LONGER,
	MS_GO_IO_TIME,		/* `reason` is an ms_go_io */
	MS_GO_IO_LONGER,
};

struct ms_go_histogram_key {
	__u32 tgid;
	__u16 kind;
	__u16 reason;
};
MS_GO_SIZE(ms_go_histogram_key, 8);

struct ms_go_histogram {
	__u64 sum;	/* nanoseconds */
	__u64 counts[MS_GO_BUCKETS];
};
MS_GO_SIZE(ms_go_histogram, 200);

#endif
