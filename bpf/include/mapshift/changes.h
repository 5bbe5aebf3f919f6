/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Change records, shared by those who write them (module.bpf.h, bpf/probes/changes_*.bpf.c) and the agent that reads them.
 * Schema version 1.
 *
 * All of a host's records go through one ring, the agent's. A slot is a watched map by its name (module and map), whatever
 * kernel object stands behind it: it outlives hot updates, and so do its sequence numbers.
 */
#ifndef MAPSHIFT_CHANGES_H
#define MAPSHIFT_CHANGES_H

#include <linux/types.h>

#define MS_CHANGES_SCHEMA 1
#define MS_CHANGE_SLOTS 1024     /* slot 0 is the head, not a map */
#define MS_CHANGE_MAX_KEY 512    /* longer keys are not watched */
#define MS_CHANGE_MAX_VALUE 4096 /* of longer values no bytes are streamed */

/* Names of the agent's maps in an object that logs. Each begins with MS_CHANGES_PREFIX; no plan moves or compares them. */
#define MS_CHANGES_PREFIX "ms_change"
#define MS_CHANGES_RING "ms_changes"
#define MS_CHANGES_SLOTS "ms_change_slots"
#define MS_CHANGES_LOST "ms_change_lost"
/* A `const volatile __u32` of an object that logs the map of this name: the slot, or 0 for "do not log". */
#define MS_CHANGES_VARIABLE "ms_log_"

enum ms_change_op { MS_CHANGE_INSERT = 1, MS_CHANGE_UPDATE = 2, MS_CHANGE_DELETE = 3 };

enum ms_change_source {
	MS_CHANGE_FEXIT = 1,
	MS_CHANGE_INSTRUMENTED = 2,
	MS_CHANGE_SYSCALL = 3,
	MS_CHANGE_SCAN = 4,
};

/*
 * One record: this header, then the key and the value where the slot's flags ask for them, each rounded up to 8 bytes.
 * `seq` is taken after the ring gave room, so records of one map may stand in the ring a little out of order; a number that
 * is missing once everything reserved before it was read belongs to a record that found no room.
 */
struct ms_change {
	__u64 timestamp_ns; /* CLOCK_MONOTONIC */
	__u64 seq;
	__u32 pid;          /* thread group; of whatever was interrupted where no task is behind the change */
	__u32 map_id;
	__u32 key_hash;     /* CRC-32 (IEEE 802.3, as zlib has it) of the key's bytes */
	__u16 slot;
	__u8 op;
	__u8 source;
	__u16 key_size;     /* bytes that follow; 0: none */
	__u16 value_size;
	__u32 pad;
};

#define MS_CHANGE_ON(source) (1u << (source)) /* flags: this source may log */
#define MS_CHANGE_KEYS 0x100u                 /* with the key's bytes */
#define MS_CHANGE_VALUES 0x200u               /* with the value's, and the key's */

/* A cache line. Slot 0 is the head, shared by all producers. */
struct ms_change_slot {
	union {
		__u64 seq;     /* the last number handed out */
		__u64 wake_at; /* head: fill of the ring, in bytes, from which a producer wakes the reader; all ones: never */
	};
	__u32 flags;
	__u32 pad[13];
};

/* Per CPU and slot: numbers handed out to changes that did not get into the ring. */
struct ms_change_lost {
	__u64 full;       /* no room */
	__u64 unreadable; /* the key could not be read */
};

#ifdef __cplusplus
static_assert(sizeof(ms_change) == 40);
static_assert(sizeof(ms_change_slot) == 64);
static_assert(sizeof(ms_change_lost) == 16);
#else
_Static_assert(sizeof(struct ms_change) == 40, "ms_change");
_Static_assert(sizeof(struct ms_change_slot) == 64, "ms_change_slot");
_Static_assert(sizeof(struct ms_change_lost) == 16, "ms_change_lost");
#endif

#endif
