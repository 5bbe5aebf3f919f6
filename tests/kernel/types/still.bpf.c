/* SPDX-License-Identifier: GPL-2.0-only */
/* A map of each kind whose contents nobody can carry over: an update reuses it, or does not begin. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 traced_pid = 0;

#define MAP(name_, type_, key_, value_, flags_)            \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_##type_);        \
		__uint(max_entries, 8);                    \
		__uint(key_size, key_);                    \
		__uint(value_size, value_);                \
		__uint(map_flags, flags_);                 \
	} name_ SEC(".maps")

MAP(stacks, STACK_TRACE, 4, 8 * 16, 0);
MAP(perf, PERF_EVENT_ARRAY, 4, 4, 0);
MAP(groups, CGROUP_ARRAY, 4, 4, 0);
MAP(devices, DEVMAP, 4, 4, 0);
MAP(device_hash, DEVMAP_HASH, 4, 4, 0);
MAP(cpus, CPUMAP, 4, 4, 0);
MAP(sockets, SOCKMAP, 4, 4, 0);
MAP(socket_hash, SOCKHASH, 4, 4, 0);
MAP(ports, REUSEPORT_SOCKARRAY, 4, 4, 0);

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 64);
	__uint(value_size, 4);
} seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

struct owned {
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owned);
} of_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct owned);
} of_tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

SEC("tp/syscalls/sys_enter_getpgid")
int note(void *ctx)
{
	__u32 number = 7;

	if (bpf_get_current_pid_tgid() >> 32 == traced_pid)
		bpf_map_push_elem(&seen, &number, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
