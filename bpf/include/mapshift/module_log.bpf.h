/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The part of module.bpf.h that logs changes of maps; see there for how to use it.
 *
 * A record goes into the agent's ring, `ms_changes`. Loaded without the agent the slots below are 0: the verifier knows them as
 * constants and removes the logging, and the three maps are as small as the kernel makes them. The agent puts its own
 * maps in their place before load.
 */
#ifndef MAPSHIFT_MODULE_LOG_BPF_H
#define MAPSHIFT_MODULE_LOG_BPF_H

#include "changes.h"
#include "module_crc32.h"

struct ms_change_ring_ {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536); /* of whole pages, on machines with large ones too */
};

struct ms_change_slots_ {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ms_change_slot);
};

struct ms_change_lost_ {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ms_change_lost);
};

/* Declared here, defined by MS_LOGGED: an object that logs nothing has none of them. */
extern struct ms_change_ring_ ms_changes SEC(".maps");
extern struct ms_change_slots_ ms_change_slots SEC(".maps");
extern struct ms_change_lost_ ms_change_lost SEC(".maps");

struct bpf_map___ms { /* the kernel's struct bpf_map, located when the object is loaded */
	__u32 id;
} __attribute__((preserve_access_index));

#define MS_MAP_ID_(map) (((struct bpf_map___ms *)&(map))->id)
#define MS_ROUND8_(n) (((n) + 7) / 8 * 8)

/* What a producer says to the ring with its record: a wake-up costs more than all the rest. */
static __always_inline __u64 ms_wakeup_(void)
{
	__u32 zero = 0;
	struct ms_change_slot *head = bpf_map_lookup_elem(&ms_change_slots, &zero);
	__u64 at = head ? *(volatile __u64 *)&head->wake_at : ~0ull;

	if (at == ~0ull || bpf_ringbuf_query(&ms_changes, BPF_RB_AVAIL_DATA) < at)
		return BPF_RB_NO_WAKEUP;
	return __sync_lock_test_and_set(&head->wake_at, ~0ull) == ~0ull ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
}

static __always_inline void ms_count_lost_(__u32 slot, struct ms_change_slot *s)
{
	struct ms_change_lost *lost = bpf_map_lookup_elem(&ms_change_lost, &slot);

	__sync_fetch_and_add(&s->seq, 1); /* a number that never comes: whoever reads the others sees the gap */
	if (lost)
		__sync_fetch_and_add(&lost->full, 1); /* an interrupt may come between on this CPU */
}

/* The sizes are constants; those of the bytes that the record carries, and 0 for those that it does not. */
static __always_inline void ms_log_sized_(__u32 slot, struct ms_change_slot *s, __u32 map_id, __u8 source, __u8 op,
					  const void *key, __u32 key_size, const void *value, __u32 with_key, __u32 with_value)
{
	const __u32 key_room = MS_ROUND8_(with_key), value_room = MS_ROUND8_(with_value);
	struct ms_change *c = bpf_ringbuf_reserve(&ms_changes, sizeof(*c) + key_room + value_room, 0);

	if (!c) {
		ms_count_lost_(slot, s);
		return;
	}
	/* A full barrier, between the reservation and the look at wake_at: the reader sees one of both before it sleeps. */
	c->seq = __sync_fetch_and_add(&s->seq, 1) + 1;
	c->timestamp_ns = bpf_ktime_get_ns();
	c->pid = bpf_get_current_pid_tgid() >> 32;
	c->map_id = map_id;
	c->key_hash = ms_crc32_(key, key_size);
	c->slot = slot;
	c->op = op;
	c->source = source;
	c->key_size = with_key;
	c->value_size = with_value;
	c->pad = 0;
	if (with_key) {
		*(__u64 *)((void *)(c + 1) + key_room - 8) = 0;
		__builtin_memcpy(c + 1, key, with_key);
	}
	if (with_value) {
		*(__u64 *)((void *)(c + 1) + key_room + value_room - 8) = 0;
		__builtin_memcpy((void *)(c + 1) + key_room, value, with_value);
	}
	bpf_ringbuf_submit(c, ms_wakeup_());
}

static __always_inline void ms_log_(__u32 slot, __u32 map_id, __u8 op, const void *key, __u32 key_size, const void *value,
				    __u32 value_size)
{
	struct ms_change_slot *s = bpf_map_lookup_elem(&ms_change_slots, &slot);
	__u32 flags;

	if (!s)
		return;
	flags = s->flags;
	if (!(flags & MS_CHANGE_ON(MS_CHANGE_INSTRUMENTED)))
		return;
	if (value && value_size <= MS_CHANGE_MAX_VALUE && flags & MS_CHANGE_VALUES)
		ms_log_sized_(slot, s, map_id, MS_CHANGE_INSTRUMENTED, op, key, key_size, value, key_size, value_size);
	else if (flags & (MS_CHANGE_KEYS | MS_CHANGE_VALUES))
		ms_log_sized_(slot, s, map_id, MS_CHANGE_INSTRUMENTED, op, key, key_size, value, key_size, 0);
	else
		ms_log_sized_(slot, s, map_id, MS_CHANGE_INSTRUMENTED, op, key, key_size, value, 0, 0);
}

#define MS_ENOENT_ (-2)
#define MS_EEXIST_ (-17)

/*
 * BPF_ANY does not say whether the key was there. So the update is tried as one of an existing key, which costs nothing where
 * it is; other flags say it themselves.
 */
static __always_inline long ms_update_(void *map, __u32 slot, __u32 map_id, const void *key, __u32 key_size, const void *value,
				       __u32 value_size, __u64 flags)
{
	__u8 op = flags & BPF_NOEXIST ? MS_CHANGE_INSERT : MS_CHANGE_UPDATE;
	int err; /* before Linux 6.4 the upper half of what comes back is not defined: functions of int are called directly */

	if (!slot)
		return bpf_map_update_elem(map, key, value, flags);
	if (!(flags & (BPF_NOEXIST | BPF_EXIST))) {
		err = bpf_map_update_elem(map, key, value, flags | BPF_EXIST);
		if (err == MS_ENOENT_) {
			op = MS_CHANGE_INSERT;
			err = bpf_map_update_elem(map, key, value, flags | BPF_NOEXIST);
		}
		if (err == MS_EEXIST_) { /* another CPU was faster */
			op = MS_CHANGE_UPDATE;
			err = bpf_map_update_elem(map, key, value, flags);
		}
	} else {
		err = bpf_map_update_elem(map, key, value, flags);
	}
	if (!err)
		ms_log_(slot, map_id, op, key, key_size, value, value_size);
	return err;
}

static __always_inline long ms_delete_(void *map, __u32 slot, __u32 map_id, const void *key, __u32 key_size)
{
	int err = bpf_map_delete_elem(map, key);

	if (!err && slot)
		ms_log_(slot, map_id, MS_CHANGE_DELETE, key, key_size, 0, 0);
	return err;
}

#define MS_LOGGED(map)                                                                                               \
	struct ms_change_ring_ ms_changes SEC(".maps");                                                                \
	struct ms_change_slots_ ms_change_slots SEC(".maps");                                                          \
	struct ms_change_lost_ ms_change_lost SEC(".maps");                                                            \
	const volatile __u32 ms_log_##map = 0

#define MS_KEY_SIZE_(map) ((__u32)sizeof(*(map).key))
#define MS_VALUE_SIZE_(map) ((__u32)sizeof(*(map).value))

#define ms_map_update(map, key, value, flags)                                                                        \
	ms_update_(&(map), ms_log_##map, MS_MAP_ID_(map), key, MS_KEY_SIZE_(map), value, MS_VALUE_SIZE_(map), flags)
#define ms_map_delete(map, key) ms_delete_(&(map), ms_log_##map, MS_MAP_ID_(map), key, MS_KEY_SIZE_(map))
#define MS_CHANGED(map, key, value)                                                                                  \
	do {                                                                                                           \
		if (ms_log_##map)                                                                                      \
			ms_log_(ms_log_##map, MS_MAP_ID_(map), MS_CHANGE_UPDATE, key, MS_KEY_SIZE_(map), value,        \
				MS_VALUE_SIZE_(map));                                                                  \
	} while (0)

#endif
