// SPDX-License-Identifier: GPL-2.0-only
// Changes of one map since the last scan: an in-kernel walk compares each value with an image of it and reports what differs.
// Sees everything, writes in place too, but only the last of several changes of a key. What finds no room in the ring is not
// lost: the image keeps the old value, and the next scan meets the difference again.
//
// One thread runs these programs, one at a time, so that nothing but they write the image. Writers on all CPUs change the map
// meanwhile: a value that was torn when it was copied differs at the next scan.
#include "changes_emit.h"

#define MAX_WORDS (MS_CHANGE_MAX_VALUE / 8)

/* Behind this header lies the value, rounded up to 8 bytes; of per-CPU maps one for each CPU. */
struct image_entry {
	u32 seen; /* number of the last pass that met the key; 0: never */
	u32 pad;
};

/* Placeholders, replaced before load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 16);
} watched SEC(".maps"), image SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 16);
} fresh SEC(".maps"); /* an entry about to be made */

const volatile __u32 key_size = 4, value_size = 8, nr_cpus = 1, map_id = 0, slot = 0;
const volatile bool percpu = false;

/* Arguments and results, through the mapping of .bss. */
__u32 pass, baseline;
__u64 visited, present, reported, deferred, no_memory;

struct bpf_map;

#define ROUND8(n) (((n) + 7u) & ~7u)

static __always_inline bool same(const void *a, const void *b)
{
	u32 i, tail = value_size & ~7u;

	for (i = 0; i < MAX_WORDS && i * 8 + 8 <= value_size; i++)
		if (((const u64 *)a)[i] != ((const u64 *)b)[i])
			return false;
	if (value_size & 4) {
		if (*(const u32 *)(a + tail) != *(const u32 *)(b + tail))
			return false;
		tail += 4;
	}
	if (value_size & 2) {
		if (*(const u16 *)(a + tail) != *(const u16 *)(b + tail))
			return false;
		tail += 2;
	}
	return !(value_size & 1) || *(const u8 *)(a + tail) == *(const u8 *)(b + tail);
}

static __always_inline void copy(void *to, const void *from)
{
	u32 i, tail = value_size & ~7u;

	for (i = 0; i < MAX_WORDS && i * 8 + 8 <= value_size; i++)
		((u64 *)to)[i] = ((const u64 *)from)[i];
	if (value_size & 4) {
		*(u32 *)(to + tail) = *(const u32 *)(from + tail);
		tail += 4;
	}
	if (value_size & 2) {
		*(u16 *)(to + tail) = *(const u16 *)(from + tail);
		tail += 2;
	}
	if (value_size & 1)
		*(u8 *)(to + tail) = *(const u8 *)(from + tail);
}

/* The value of one CPU, or the only one. */
struct cpu_job {
	void *key, *value;
	struct image_entry *entry;
	bool differs;
};

static __always_inline void *cpu_value(struct cpu_job *job, u32 cpu)
{
	return percpu ? bpf_map_lookup_percpu_elem(&watched, job->key, cpu) : job->value;
}

static __always_inline void *cpu_image(struct image_entry *entry, u32 cpu)
{
	u64 at = cpu, each = ROUND8(value_size);

	/* Verifiers before Linux 6.11 (seen: 6.1) know the bounds of a product only when the constant is the factor that is read. */
	asm volatile("%0 *= %1" : "+r"(at) : "r"(each));
	return (void *)(entry + 1) + at;
}

static long compare_cpu(u32 cpu, struct cpu_job *job)
{
	void *value;

	if (cpu >= nr_cpus)
		return 1;
	value = cpu_value(job, cpu);
	job->differs = value && !same(value, cpu_image(job->entry, cpu));
	return job->differs;
}

static long copy_cpu(u32 cpu, struct cpu_job *job)
{
	void *value;

	if (cpu >= nr_cpus)
		return 1;
	value = cpu_value(job, cpu);
	if (value)
		copy(cpu_image(job->entry, cpu), value);
	return 0;
}

static __always_inline bool differs(struct cpu_job *job)
{
	if (!percpu)
		return !same(job->value, job->entry + 1);
	bpf_loop(nr_cpus, compare_cpu, job, 0);
	return job->differs;
}

static __always_inline void take_image(struct cpu_job *job)
{
	if (percpu)
		bpf_loop(nr_cpus, copy_cpu, job, 0);
	else
		copy(job->entry + 1, job->value);
}

static __always_inline u32 key_crc(const void *key)
{
	u32 crc = ~0u, i;

	for (i = 0; i < MS_CHANGE_MAX_KEY && i < key_size; i++)
		crc = ms_crc32_byte_(crc, ((const u8 *)key)[i]);
	return ~crc;
}

/* With the bytes of key and value. `value` null: only the key. */
static __always_inline bool report_bytes(struct sighting *w, void *key, void *value)
{
	u32 key_room = ROUND8(key_size), value_room = value ? ROUND8(value_size) : 0;
	struct bpf_dynptr record;
	struct ms_change c;

	if (bpf_ringbuf_reserve_dynptr(&ms_changes, sizeof(c) + key_room + value_room, 0, &record)) {
		bpf_ringbuf_discard_dynptr(&record, BPF_RB_NO_WAKEUP);
		return false;
	}
	fill_change(&c, w, key_crc(key));
	c.key_size = key_size;
	c.value_size = value ? value_size : 0;
	bpf_dynptr_write(&record, 0, &c, sizeof(c), 0);
	bpf_dynptr_write(&record, sizeof(c), key, key_size, 0);
	if (value)
		bpf_dynptr_write(&record, sizeof(c) + key_room, value, value_size, 0);
	bpf_ringbuf_submit_dynptr(&record, ms_wakeup_());
	return true;
}

/* False: no room in the ring, and nothing was said. */
static __always_inline bool report(void *key, void *value, u8 op)
{
	u32 number = slot, flags;
	struct sighting w = {.slot = number, .map_id = map_id, .op = op, .source = MS_CHANGE_SCAN};
	struct ms_change *c;
	bool done = false;

	if (baseline)
		return true;
	w.slot_state = bpf_map_lookup_elem(&ms_change_slots, &number);
	if (!w.slot_state)
		return false;
	flags = w.slot_state->flags;
	if (!flags) /* not watched any more: the slot may be another map's soon */
		return false;
	if (flags & (MS_CHANGE_KEYS | MS_CHANGE_VALUES)) {
		if (flags & MS_CHANGE_VALUES && value && !percpu)
			done = report_bytes(&w, key, value);
		else
			done = report_bytes(&w, key, 0);
	} else {
		c = bpf_ringbuf_reserve(&ms_changes, sizeof(*c), 0);
		if (c) {
			fill_change(c, &w, key_crc(key));
			c->key_size = c->value_size = 0;
			bpf_ringbuf_submit(c, ms_wakeup_());
			done = true;
		}
	}
	if (done)
		reported++;
	else
		deferred++;
	return done;
}

static __always_inline void first_sight(struct cpu_job *job)
{
	u32 zero = 0;

	job->entry = bpf_map_lookup_elem(&fresh, &zero);
	if (!job->entry)
		return;
	job->entry->seen = pass;
	take_image(job);
	if (bpf_map_update_elem(&image, job->key, job->entry, BPF_NOEXIST)) {
		no_memory++; /* of the image; the next pass tries again */
		return;
	}
	present++;
	if (!report(job->key, job->value, MS_CHANGE_INSERT)) {
		bpf_map_delete_elem(&image, job->key);
		present--;
	}
}

static long visit(struct bpf_map *map, void *key, void *value, void *ctx)
{
	struct cpu_job job = {.key = key, .value = value};

	visited++;
	job.entry = bpf_map_lookup_elem(&image, key);
	if (!job.entry) {
		first_sight(&job);
		return 0;
	}
	if (differs(&job) && report(key, value, MS_CHANGE_UPDATE))
		take_image(&job);
	job.entry->seen = pass;
	return 0;
}

/* Which keys of the image were not met: they are gone. One that another CPU deleted and re-added during the walk may be
 * skipped by it; it is reported as deleted now and as inserted by the next scan. */
static long visit_image(struct bpf_map *map, void *key, struct image_entry *entry, void *ctx)
{
	if (entry->seen == pass || !report(key, 0, MS_CHANGE_DELETE))
		return 0;
	bpf_map_delete_elem(&image, key);
	present--;
	return 0;
}

SEC("syscall") int scan(void *ctx)
{
	bpf_for_each_map_elem(&watched, visit, 0, 0);
	return 0;
}

SEC("syscall") int scan_image(void *ctx)
{
	bpf_for_each_map_elem(&image, visit_image, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
