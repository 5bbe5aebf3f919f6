/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dispatcher and the agent share: the word that says which generation events go to, and what is counted of each. */
#ifndef MAPSHIFT_COURSE_H
#define MAPSHIFT_COURSE_H

#include <linux/types.h>

/*
 * The word of a module, read once by each event: bit 0 together with the hook's own bit is the slot that events go to.
 * The upper half is the share of events, of 2^32, that go to the other slot.
 */
#define MS_COURSE_ODD 1ull
#define MS_COURSE_BY_FLOW 2ull /* the share is one of flows, not of events */
#define MS_COURSE_WATCHED 4ull /* what each slot does is counted */
#define MS_COURSE_SHARE_SHIFT 32

/* Return codes -1 to 13 have a counter each, all others share the last. */
#define MS_VERDICTS 16
#define MS_FIRST_VERDICT (-1)
#define MS_TIMED_EVERY 16 /* events */

/* Of one slot on one CPU, while it is watched. */
struct ms_side {
	__u64 events;
	__u64 timed, ns; /* one event of MS_TIMED_EVERY is timed */
	__u64 verdicts[MS_VERDICTS];
};

#endif
