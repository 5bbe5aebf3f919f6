/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One object in two generations, with a map of each kind that an update carries over in its own way. An event is the system call
 * getpgid(number) of the process `traced_pid`.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/module.bpf.h>

const volatile __u32 traced_pid = 0;

#if GENERATION == 1
#define ROOM 16384
struct route {
	__u32 hop;
	__u32 metric;
};
struct job {
	__u32 number;
	__u32 weight;
};
struct stat {
	__u32 hits MS_SUM;
	__u32 state;
};
#else
#define ROOM 32768
struct route {
	__u64 metric;
	__u32 hop;
	__u32 flags MS_DEFAULT(7);
};
struct job {
	__u64 number;
	__u64 made MS_DEFAULT(3);
	__u32 weight;
	__u32 pad;
};
struct stat {
	__u64 state;
	__u64 hits MS_SUM;
};
#endif

struct address {
	__u32 bits;
	__u8 bytes[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, struct route);
} routes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, ROOM);
	__type(value, __u32);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, ROOM);
	__type(value, __u32);
} undo SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 64);
	__type(value, struct job);
} jobs SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct stat);
} left SEC(".maps"), right SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct inner);
} tables SEC(".maps") = {.values = {[0] = &left, [1] = &right}};

struct plain {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, ROOM / 512);
	__type(key, __u64);
	__array(values, struct plain);
} named SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, ROOM / 4);
} events SEC(".maps");

struct enter_syscall {
	__u64 common;
	__s64 number;
	__u64 arguments[6];
};

/* Uses what the other programs do not. */
static __always_inline int look(void)
{
	struct address address = {.bits = 32};
	struct route *route = bpf_map_lookup_elem(&routes, &address);
	__u64 name = 1;
	void *table = bpf_map_lookup_elem(&named, &name);
	__u32 *record = bpf_ringbuf_reserve(&events, 4, 0);
	struct job job;

	if (record) {
		*record = GENERATION;
		bpf_ringbuf_submit(record, 0);
	}
	return (route ? route->hop : 0) + (table ? 1 : 0) + (bpf_map_peek_elem(&jobs, &job) ? 0 : 1);
}

static __always_inline int is_event(void)
{
	return bpf_get_current_pid_tgid() >> 32 == traced_pid;
}

/* Queues: each event's number goes into both. */
SEC("tp/syscalls/sys_enter_getpgid")
int produce(struct enter_syscall *ctx)
{
	__u32 number = ctx->arguments[0];

	if (is_event() && number == 0x7fffffff)
		return look();
	if (is_event() && !(number & 0x80000000)) {
		bpf_map_push_elem(&numbers, &number, 0);
		bpf_map_push_elem(&undo, &number, 0);
	}
	return 0;
}

/* Maps of maps: number & 7 is the slot, the low byte above it the key. */
SEC("tp/syscalls/sys_enter_getpgid")
int count(struct enter_syscall *ctx)
{
	__u32 number = ctx->arguments[0], slot = number & 7, key = number >> 3 & 15;
	struct stat *stat, fresh = {.hits = 1};
	void *table;

	if (!is_event() || !(number & 0x80000000))
		return 0;
	table = bpf_map_lookup_elem(&tables, &slot);
	if (!table)
		return 0;
	stat = bpf_map_lookup_elem(table, &key);
	if (!stat) {
		if (bpf_map_update_elem(table, &key, &fresh, BPF_NOEXIST) == 0)
			return 0;
		stat = bpf_map_lookup_elem(table, &key);
	}
	if (stat)
		__sync_fetch_and_add(&stat->hits, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
