// SPDX-License-Identifier: GPL-2.0-only
// Programs that change maps, each on demand: once with the plain helpers, once through the logging wrappers.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/module.bpf.h>

struct value {
	__u64 count, last;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct value);
} logged SEC(".maps");
MS_LOGGED(logged);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} numbers SEC(".maps");
MS_LOGGED(numbers);

__u32 first, count, mask = ~0u; /* arguments: keys first .. first + count - 1, each & mask */
__u64 failed;

static long plain_one(__u32 i, void *ctx)
{
	__u32 key = (first + i) & mask;
	struct value v = {.count = i, .last = 1};

	failed += bpf_map_update_elem(&logged, &key, &v, BPF_ANY) != 0;
	return 0;
}

static long update_one(__u32 i, void *ctx)
{
	__u32 key = (first + i) & mask;
	struct value v = {.count = i, .last = 1};

	failed += ms_map_update(logged, &key, &v, BPF_ANY) != 0;
	return 0;
}

static long stamp_one(__u32 i, void *ctx) /* the value says when it was written */
{
	__u32 key = (first + i) & mask;
	struct value v = {.count = i, .last = bpf_ktime_get_ns()};

	failed += ms_map_update(logged, &key, &v, BPF_ANY) != 0;
	return 0;
}

static long delete_one(__u32 i, void *ctx)
{
	__u32 key = (first + i) & mask;

	failed += ms_map_delete(logged, &key) != 0;
	return 0;
}

static long touch_one(__u32 i, void *ctx)
{
	__u32 key = (first + i) & mask & 63;
	__u64 *n = bpf_map_lookup_elem(&numbers, &key);

	if (n) {
		__sync_fetch_and_add(n, 1);
		MS_CHANGED(numbers, &key, n);
	}
	return 0;
}

static long poke_one(__u32 i, void *ctx)
{
	__u32 key = (first + i) & mask & 63;
	__u64 *n = bpf_map_lookup_elem(&numbers, &key);

	if (n)
		__sync_fetch_and_add(n, 1);
	return 0;
}

SEC("syscall") int plain(void *ctx)
{
	bpf_loop(count, plain_one, 0, 0);
	return 0;
}

SEC("syscall") int update(void *ctx)
{
	bpf_loop(count, update_one, 0, 0);
	return 0;
}

SEC("syscall") int stamp(void *ctx)
{
	bpf_loop(count, stamp_one, 0, 0);
	return 0;
}

SEC("syscall") int remove_keys(void *ctx)
{
	bpf_loop(count, delete_one, 0, 0);
	return 0;
}

SEC("syscall") int touch(void *ctx)
{
	bpf_loop(count, touch_one, 0, 0);
	return 0;
}

SEC("syscall") int poke(void *ctx) /* in place, without a word */
{
	bpf_loop(count, poke_one, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
