/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells the pass thread at once which keys of its two maps were written by an update call of a program or of user space,
 * instead of letting its next pass find them. Values, and base but for `dirty`, are the pass thread's alone: a handler that
 * is skipped, or finds the queue full, costs freshness and nothing else.
 *
 * The engine's own insertions come here too: a visit that finds nothing changed writes nothing, so that ends there.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "mapshift/sync.h"
#include "queue.h"

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

char LICENSE[] SEC("license") = "GPL";

#define MAX_KEY 64

/* The engine's, put in its place before load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, sizeof(struct ms_base));
} base SEC(".maps");

/* Wakes the pass thread. What it holds says nothing. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} doorbell SEC(".maps");

const volatile __u32 id0, id1, key_size = 4;
__u32 rung; /* the pass thread clears it before it looks into the queue */
__u64 lost;

struct bpf_map___id {
	u32 id;
} __attribute__((preserve_access_index));

static __always_inline void ring(void)
{
	u64 nothing = 0;

	if (*(volatile u32 *)&rung || __sync_lock_test_and_set(&rung, 1))
		return;
	bpf_ringbuf_output(&doorbell, &nothing, sizeof(nothing), BPF_RB_FORCE_WAKEUP);
}

/*
 * `dirty` is set while a key waits, so that one that is written all the time takes one place. The pass thread clears it
 * before it reads the values. An entry of base may be freed here and reused at once for another key: that one then has a
 * mark that it should not have, or this one is not queued, and the next pass repairs either.
 */
static __always_inline void wrote(u64 *ctx, long ret)
{
	struct bpf_map___id *map = (void *)ctx[0];
	u8 key[MAX_KEY] = {};
	struct ms_base *b;
	u32 id;

	if (ret)
		return;
	id = BPF_CORE_READ(map, id);
	if ((id != id0 && id != id1) || bpf_probe_read_kernel(key, key_size, (void *)ctx[1]))
		return;
	b = bpf_map_lookup_elem(&base, key);
	if (b && __sync_lock_test_and_set(&b->dirty, 1))
		return;
	if (!push_written(key, key_size)) {
		if (b)
			b->dirty = 0;
		__sync_fetch_and_add(&lost, 1);
	}
	ring();
}

/* (map, key, value, flags), then what the function returned. */
#define ON_UPDATE(function)                                     \
	SEC("?fexit/" #function) int follow_##function(u64 *ctx) \
	{                                                       \
		wrote(ctx, (int)ctx[4]);                        \
		return 0;                                       \
	}

ON_UPDATE(htab_map_update_elem)
ON_UPDATE(htab_lru_map_update_elem)
ON_UPDATE(array_map_update_elem)
