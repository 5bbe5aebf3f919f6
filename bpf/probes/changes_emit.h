/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writing change records from probes, which know sizes only when they run: keys and values come from somewhere else in the
 * kernel or from user space. The protocol (reserve, then take the number, then look at wake_at) is that of module_log.bpf.h.
 */
#ifndef MAPSHIFT_CHANGES_EMIT_H
#define MAPSHIFT_CHANGES_EMIT_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <mapshift/module.bpf.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

/* The agent's, put in their place before load. */
struct ms_change_ring_ ms_changes SEC(".maps");
struct ms_change_slots_ ms_change_slots SEC(".maps");
struct ms_change_lost_ ms_change_lost SEC(".maps");

/* Kernel map id to slot: empty when nothing is watched this way. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * MS_CHANGE_SLOTS);
	__type(key, u32);
	__type(value, u32);
} ms_change_ids SEC(".maps");

struct bpf_map___probe {
	enum bpf_map_type map_type;
	u32 id, key_size, value_size;
} __attribute__((preserve_access_index));

/* One change that a probe saw. `value` may be null. */
struct sighting {
	struct ms_change_slot *slot_state;
	const void *key, *value;
	u32 slot, map_id, key_size, value_size;
	u8 op, source;
	bool from_user;
};

struct scratch {
	u8 key[MS_CHANGE_MAX_KEY];
	u8 value[MS_CHANGE_MAX_VALUE];
};

struct crc_job {
	struct scratch *s;
	u32 crc;
};

static long crc_one(u32 i, struct crc_job *job)
{
	if (i >= MS_CHANGE_MAX_KEY)
		return 1;
	job->crc = ms_crc32_byte_(job->crc, job->s->key[i]);
	return 0;
}

static __always_inline void count_unreadable(const struct sighting *w, u64 count)
{
	u32 slot = w->slot;
	struct ms_change_lost *lost = bpf_map_lookup_elem(&ms_change_lost, &slot);

	__sync_fetch_and_add(&w->slot_state->seq, count);
	if (lost)
		__sync_fetch_and_add(&lost->unreadable, count);
}

static __always_inline long read_bytes(void *to, u32 size, const void *from, bool from_user)
{
	return from_user ? bpf_probe_read_user(to, size, from) : bpf_probe_read_kernel(to, size, from);
}

static __always_inline void fill_change(struct ms_change *c, const struct sighting *w, u32 crc)
{
	c->seq = __sync_fetch_and_add(&w->slot_state->seq, 1) + 1;
	c->timestamp_ns = bpf_ktime_get_ns();
	c->pid = bpf_get_current_pid_tgid() >> 32;
	c->map_id = w->map_id;
	c->key_hash = crc;
	c->slot = w->slot;
	c->op = w->op;
	c->source = w->source;
	c->pad = 0;
}

static __always_inline void emit_with_bytes(const struct sighting *w, struct scratch *s, u32 crc, u32 key_size, u32 value_size)
{
	u32 key_room = (key_size + 7) & ~7u, value_room = (value_size + 7) & ~7u;
	struct bpf_dynptr record;
	struct ms_change c;

	if (bpf_ringbuf_reserve_dynptr(&ms_changes, sizeof(c) + key_room + value_room, 0, &record)) {
		bpf_ringbuf_discard_dynptr(&record, BPF_RB_NO_WAKEUP);
		ms_count_lost_(w->slot, w->slot_state);
		return;
	}
	fill_change(&c, w, crc);
	c.key_size = key_size;
	c.value_size = value_size;
	bpf_dynptr_write(&record, 0, &c, sizeof(c), 0);
	bpf_dynptr_write(&record, sizeof(c), s->key, key_size, 0);
	if (value_size)
		bpf_dynptr_write(&record, sizeof(c) + key_room, s->value, value_size, 0);
	bpf_ringbuf_submit_dynptr(&record, ms_wakeup_());
}

/* `s` is this program's own on this CPU. */
static __always_inline void emit(const struct sighting *w, struct scratch *s)
{
	u32 flags = w->slot_state->flags, key_size = w->key_size, value_size = 0;
	struct crc_job job = {s, ~0u};
	struct ms_change *c;

	if (!key_size || key_size > MS_CHANGE_MAX_KEY || read_bytes(s->key, key_size, w->key, w->from_user)) {
		count_unreadable(w, 1);
		return;
	}
	bpf_loop(key_size, crc_one, &job, 0);
	if (flags & (MS_CHANGE_KEYS | MS_CHANGE_VALUES)) {
		if (flags & MS_CHANGE_VALUES && w->value) {
			value_size = w->value_size;
			if (value_size > MS_CHANGE_MAX_VALUE || read_bytes(s->value, value_size, w->value, w->from_user))
				value_size = 0;
		}
		emit_with_bytes(w, s, ~job.crc, key_size, value_size);
		return;
	}
	c = bpf_ringbuf_reserve(&ms_changes, sizeof(*c), 0);
	if (!c) {
		ms_count_lost_(w->slot, w->slot_state);
		return;
	}
	fill_change(c, w, ~job.crc);
	c->key_size = c->value_size = 0;
	bpf_ringbuf_submit(c, ms_wakeup_());
}

/* True when this source may report changes of the map `id`. */
static __always_inline bool watched_by(u32 id, u8 source, struct sighting *w)
{
	u32 *slot = bpf_map_lookup_elem(&ms_change_ids, &id), number;

	if (!slot)
		return false;
	number = *slot;
	w->slot_state = bpf_map_lookup_elem(&ms_change_slots, &number);
	if (!w->slot_state || !(w->slot_state->flags & MS_CHANGE_ON(source)))
		return false;
	w->slot = number;
	w->map_id = id;
	w->source = source;
	return true;
}

static __always_inline bool is_percpu(u32 map_type)
{
	return map_type == BPF_MAP_TYPE_PERCPU_HASH || map_type == BPF_MAP_TYPE_PERCPU_ARRAY || map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

#endif
