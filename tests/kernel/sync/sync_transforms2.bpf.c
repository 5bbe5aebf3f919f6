/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that build a value of two old maps, good and bad ones. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "mapshift/module.bpf.h"

char _license[] SEC("license") = "GPL";
#define u32 __u32
#define u64 __u64

/* The layouts of lab.h. The second old map has the first one's. */
struct old_value {
	u64 packets, last;
	u32 state, n32;
};
struct new_value {
	u32 state, flags;
	u64 last, packets, n64;
};

MS_TRANSFORM2(up_both, struct old_value, struct old_value, struct new_value)
{
	to->packets = from->packets;
	to->n64 = from->n32;
	to->last = from->last;
	to->state = from->state;
	if (beside) {
		to->packets += beside->packets;
		to->flags = beside->state;
	}
}

MS_TRANSFORM2(down_both, struct new_value, struct old_value, struct old_value)
{
	to->packets = from->packets;
	to->n32 = from->n64;
	to->last = from->last;
	to->state = from->state;
	if (beside)
		to->packets -= beside->packets;
}

/* What the second map counts apart. */
MS_TRANSFORM2(up_apart, struct old_value, struct old_value, struct new_value)
{
	to->packets = from->packets;
	to->last = from->last;
	to->state = from->state;
	if (beside) {
		to->n64 = beside->packets;
		to->flags = beside->state;
	}
}

MS_TRANSFORM2(down_apart, struct new_value, struct old_value, struct old_value)
{
	to->packets = from->packets;
	to->last = from->last;
	to->state = from->state;
}

MS_TRANSFORM(down_beside, struct new_value, struct old_value)
{
	to->packets = from->n64;
	to->state = from->flags;
}

/* A second map whose values hold a lock: locked_old of sync_locks.bpf.c. */
struct locked {
	u32 lock, n32;
	u64 packets, pair, pair_check;
	u32 spare, end;
};

MS_TRANSFORM2(up_locked, struct old_value, struct locked, struct new_value)
{
	to->packets = from->packets;
	if (beside) {
		to->n64 = beside->packets;
		to->flags = beside->n32;
	}
}

MS_TRANSFORM2(down_locked, struct new_value, struct locked, struct old_value)
{
	to->packets = from->packets;
}

MS_TRANSFORM(down_beside_locked, struct new_value, struct locked)
{
	to->packets = from->n64;
	to->n32 = from->flags;
}

/* The state is the second map's key. */
MS_TRANSFORM_KEY(by_state, u32, struct old_value, u32)
{
	*to = from->state;
}

/* Its own inverse. */
MS_TRANSFORM(turned, struct old_value, struct old_value)
{
	to->packets = -from->packets;
	to->last = from->last;
	to->state = ~from->state;
	to->n32 = from->n32;
}

MS_TRANSFORM2(turned_beside, struct old_value, struct old_value, struct old_value)
{
	to->packets = (beside ? beside->packets : 0) - from->packets;
	to->last = from->last;
	to->state = from->state;
	to->n32 = from->n32;
}

MS_TRANSFORM2(up_unasked, struct old_value, struct old_value, struct new_value)
{
	to->packets = from->packets + beside->packets;
}

MS_TRANSFORM2(up_behind, struct old_value, struct old_value, struct new_value)
{
	if (beside)
		to->packets = ((volatile const u64 *)beside)[sizeof(*beside) / 8];
}

MS_TRANSFORM2(up_for_ever, struct old_value, struct old_value, struct new_value)
{
	while (beside && ((volatile const struct old_value *)beside)->packets)
		((volatile struct new_value *)to)->packets++;
}
