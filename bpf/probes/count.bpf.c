// SPDX-License-Identifier: GPL-2.0-only
// Counts the elements of a hash map in the kernel: for_each walks a map about ten times faster than the key-by-key
// system calls, and a map has no counter of its own. `counted` stands for the map that user space puts in its place.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} counted SEC(".maps");

static long skip(void *map, const void *key, void *value, void *ctx)
{
	return 0;
}

SEC("syscall")
int count(void *ctx)
{
	return bpf_for_each_map_elem(&counted, skip, 0, 0);
}

char LICENSE[] SEC("license") = "GPL";
