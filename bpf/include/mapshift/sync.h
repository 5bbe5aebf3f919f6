/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The sync engine's records, shared by its BPF program and its user side. Schema version 1.
 */
#ifndef MAPSHIFT_SYNC_H
#define MAPSHIFT_SYNC_H

#include <linux/types.h>

#define MS_SYNC_SCHEMA 1
#define MS_MAX_FIELDS 1024
#define MS_MAX_KEY_FIELDS 64
#define MS_MAX_REMAPS 256
#define MS_MAX_DEFAULTS 64
#define MS_MAX_UNIONS 16
#define MS_MAX_ARMS 64
#define MS_NO_LOCK 0xffffffffu
#define MS_SLICE_STEP 64 /* keys for each byte that a sliced walk writes */

enum ms_op { MS_OP_SUM = 1, MS_OP_LATEST = 2, MS_OP_MAX = 3, MS_OP_MIN = 4, MS_OP_OR = 5, MS_OP_FIRST = 6 };

/* What one run of the engine's program does. */
enum ms_order {
	MS_WALK_SIDE0 = 0,
	MS_WALK_SIDE1 = 1,
	MS_WALK_BASE = 2,
	MS_WALK_HOT = 3,
	MS_TAKE_WRITTEN = 4,
	MS_SWEEP = 5,
	MS_UNLOCK = 6,
	MS_VERIFY = 7,
	MS_VERIFY_AGAIN = 8,
};

enum ms_phase { MS_PRECOPY = 0, MS_LIVE_NEW = 1, MS_LIVE_OLD = 2 };

#define MS_F_SIGNED0 1u
#define MS_F_SIGNED1 2u
#define MS_F_WIDE 4u  /* no safe in-place write once the target side runs */
#define MS_F_PLAIN 8u /* a sum that no atomic instruction reaches: its programs cannot either */
#define MS_F_ZERO 16u /* the other side gets zero, whatever it holds */
#define MS_ARM_TAG 255u /* ms_field.arm: the field is the discriminator itself */

/* One scalar that exists on both sides. */
struct ms_field {
	__u8 op;
	__u8 size0, size1; /* 1, 2, 4 or 8 */
	__u8 flags;
	__u16 off0, off1; /* bytes into the value */
	__u16 group;      /* of MS_OP_LATEST: below 64 */
	__u16 remap, remap_count;
	__u8 in_union; /* one more than the number of its union; 0: it is always alive */
	__u8 arm;      /* of that union; 0: alive where no declared value is */
};

/* A union whose discriminator says which of its arms is alive. */
struct ms_union {
	__u16 off0, off1;   /* of the discriminator */
	__u8 size0, size1;
	__u8 same;          /* the first union that has this discriminator */
	__u8 pad;
};

struct ms_arm {
	__u64 value0, value1; /* of the discriminator, as each side writes it */
	__u8 of, arm;         /* number of the union; of the arm, from 1 to 254 */
	__u8 pad[6];
};

/* A scalar that only the new layout has: what it holds where the engine makes the value. */
struct ms_default {
	__u16 off;
	__u8 size, pad[5];
	__u64 value;
};

/*
 * Base: what was last reconciled, for one key. Behind this header lies one slot for each CPU of a per-CPU map, or one
 * slot: 8 bytes of enum ms_slot, the old value rounded up to 8 bytes, the new value rounded up to 8 bytes.
 */
enum ms_slot {
	MS_SLOT_NEW = 0,     /* nothing was reconciled yet, the values are zero */
	MS_SLOT_SYNCED = 1,
	MS_SLOT_REBASE0 = 2, /* only side 0 is left: take base out of its sums, then go on as with a new slot */
	MS_SLOT_REBASE1 = 3,
};

struct ms_base {
	__u32 busy;    /* 1 while a sync of this key runs */
	__u32 dirty;   /* 1 when another sync was turned away meanwhile, or the key waits for one */
	__u32 present; /* 1 when both sides had the key; 0: a tombstone, or new */
	__u32 seen0, seen1; /* number of the last pass that met the key there */
	__u32 miss0, miss1; /* number of the first pass of an unbroken absence, or 0 */
	__u32 rebase;       /* some slot is MS_SLOT_REBASE0 or 1 */
};

/* What one pass did. Written by one pass thread, read after it. */
struct ms_stats {
	__u64 visited0, visited1, visited_base;
	__u64 added, changed, deleted, conflicts, clamped;
	__u64 dropped_deltas, full0, full1, base_full, pending, risky, unsafe_wide, contended;
	__u64 from_passive; /* keys of which something moved from the passive to the active side */
	__u64 tombstones, present;
	__u64 no_key0, no_key1; /* keys that side 0 (1) has no way to write */
	__u64 undeclared; /* values carried whose discriminator says none of the declared values */
};

/* What the discriminators of a value say, read once for each visit: fields and discriminator are then of one mind. */
struct ms_alive {
	__u64 tag[MS_MAX_UNIONS];
	__u8 arm[MS_MAX_UNIONS];
};

/* The engine's notes on the key at work; nobody else reads them. */
struct ms_work {
	__u64 group0, group1; /* MS_OP_LATEST groups that changed on each side */
	__u64 differs, wide;  /* groups whose sides differ; that hold wide fields */
	__u64 failed_groups;  /* of which a field could not be written any more */
	__u8 fresh;           /* nothing was reconciled before */
	__u8 only0, only1;    /* fresh, and the other side's slot was never used: the kernel zeroes those of other CPUs */
	__u8 moved0, moved1;  /* something of side 0 (1) was carried to the other */
	__u8 clamped, failed, unsafe, risky;
	__u8 partial;         /* not all of an old value arrived */
	__u8 defaulted;       /* what only the new layout has gets its defaults as well */
	__u8 undeclared;      /* a discriminator says none of the declared values */
	struct ms_alive alive0, alive1, alive_base; /* of each side as read, and of what base holds of side 0 */
	struct ms_alive before, after;              /* of one side: as read, and as it will be */
};

struct ms_verdict {
	__u8 changed, rose, fell; /* any field; a sum */
	__u8 failed;              /* a sum could not be written */
};

#ifdef __cplusplus
static_assert(sizeof(ms_field) == 16);
static_assert(sizeof(ms_default) == 16);
static_assert(sizeof(ms_base) == 32);
static_assert(sizeof(ms_union) == 8);
static_assert(sizeof(ms_arm) == 24);
static_assert(sizeof(ms_stats) == 22 * 8);
#else
_Static_assert(sizeof(struct ms_field) == 16, "ms_field");
_Static_assert(sizeof(struct ms_default) == 16, "ms_default");
_Static_assert(sizeof(struct ms_base) == 32, "ms_base");
_Static_assert(sizeof(struct ms_union) == 8, "ms_union");
_Static_assert(sizeof(struct ms_arm) == 24, "ms_arm");
_Static_assert(sizeof(struct ms_stats) == 22 * 8, "ms_stats");
#endif

#endif
