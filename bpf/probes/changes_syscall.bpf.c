// SPDX-License-Identifier: GPL-2.0-only
// Changes of watched maps by system calls, single and in batches, seen when the call returns: then it is known whether it did
// what it was asked, and how much of a batch. Its arguments are read from the registers that the task came in with, so that
// nothing has to be remembered from its begin. Costs nothing but on the system call bpf().
#include "changes_emit.h"

struct exit_event { /* format of the tracepoint syscalls:sys_exit_bpf */
	u64 common;
	long number;
	long ret;
};

/* Registers that hold a system call's arguments; whichever exists on this machine. */
struct pt_regs___x86 {
	unsigned long di, si;
} __attribute__((preserve_access_index));

struct pt_regs___arm64 {
	u64 orig_x0;
	u64 regs[31];
} __attribute__((preserve_access_index));

struct file___probe {
	void *private_data;
} __attribute__((preserve_access_index));

struct fdtable___probe {
	unsigned int max_fds;
	void **fd;
} __attribute__((preserve_access_index));

struct files_struct___probe {
	struct fdtable___probe *fdt;
} __attribute__((preserve_access_index));

struct task_struct___probe {
	struct files_struct___probe *files;
} __attribute__((preserve_access_index));

/* Parts of union bpf_attr (uapi). */
struct element_attr {
	u32 map_fd, pad;
	u64 key, value, flags;
};

struct batch_attr {
	u64 in_batch, out_batch, keys, values;
	u32 count, map_fd;
	u64 elem_flags, flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct scratch);
} scratch_space SEC(".maps");

/* The call succeeded, so the descriptor is a map's; only a thread that closes it meanwhile could make us take another one. */
static __always_inline void *map_of(u32 fd)
{
	struct task_struct___probe *task = (void *)bpf_get_current_task();
	struct fdtable___probe *table = BPF_CORE_READ(task, files, fdt);
	void **files, *file = 0;

	if (fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file ? BPF_CORE_READ((struct file___probe *)file, private_data) : 0;
}

static __always_inline bool find_map(u32 fd, struct sighting *w)
{
	struct bpf_map___probe *map = map_of(fd);

	if (!map || !watched_by(BPF_CORE_READ(map, id), MS_CHANGE_SYSCALL, w))
		return false;
	w->key_size = BPF_CORE_READ(map, key_size);
	w->value_size = is_percpu(BPF_CORE_READ(map, map_type)) ? 0 : BPF_CORE_READ(map, value_size);
	w->from_user = true;
	return w->key_size;
}

/* Only flags tell an insert here. */
static __always_inline u8 op_of(u32 cmd, u64 flags)
{
	if (cmd != BPF_MAP_UPDATE_ELEM && cmd != BPF_MAP_UPDATE_BATCH)
		return MS_CHANGE_DELETE;
	return flags & BPF_NOEXIST ? MS_CHANGE_INSERT : MS_CHANGE_UPDATE;
}

/* The element is gone before its value is copied out, which may fail. */
static __always_inline void gone_unseen(const void *attr)
{
	struct element_attr a = {};
	struct sighting w = {};

	if (!bpf_probe_read_user(&a, sizeof(a) - 16, attr) && find_map(a.map_fd, &w))
		count_unreadable(&w, 1);
}

static __always_inline void one_element(u32 cmd, const void *attr, struct scratch *s)
{
	struct element_attr a = {};
	struct sighting w = {};

	if (bpf_probe_read_user(&a, sizeof(a) - (cmd == BPF_MAP_UPDATE_ELEM ? 0 : 16), attr) || !find_map(a.map_fd, &w))
		return;
	w.op = op_of(cmd, a.flags);
	w.key = (void *)a.key;
	w.value = w.op == MS_CHANGE_DELETE || !w.value_size ? 0 : (void *)a.value;
	emit(&w, s);
}

struct batch_job {
	struct sighting w;
	u64 keys, values;
	struct scratch *s;
};

static long batch_one(u32 i, struct batch_job *job)
{
	job->w.key = (void *)(job->keys + (u64)i * job->w.key_size);
	job->w.value = job->values ? (void *)(job->values + (u64)i * job->w.value_size) : 0;
	emit(&job->w, job->s);
	return 0;
}

#define MAX_LOOP (1u << 23) /* of bpf_loop */

/* The kernel wrote back how many elements it did, where the call came as far as the elements. */
static __always_inline bool batch_began(long ret)
{
	return !ret || ret == -2 /* ENOENT */ || ret == -7 /* E2BIG */ || ret == -16 /* EBUSY */ || ret == -17 /* EEXIST */ ||
	       ret == -28 /* ENOSPC */;
}

/* Refused before its first element: EPERM, EBADF, EOPNOTSUPP, ENOTSUPP. */
static __always_inline bool batch_refused(long ret)
{
	return ret == -1 || ret == -9 || ret == -95 || ret == -524;
}

static __always_inline void batch(u32 cmd, const void *attr, long ret, struct scratch *s)
{
	struct batch_job job = {};
	struct batch_attr a = {};

	if (batch_refused(ret) || bpf_probe_read_user(&a, sizeof(a) - 8, attr))
		return;
	if (!batch_began(ret)) {
		/* Nobody says how far it came, if it did: one number that never comes makes whoever listens read the map again. */
		if (find_map(a.map_fd, &job.w))
			count_unreadable(&job.w, 1);
		return;
	}
	if (!a.count || !find_map(a.map_fd, &job.w))
		return;
	job.w.op = op_of(cmd, a.elem_flags);
	job.keys = a.keys;
	job.values = job.w.op == MS_CHANGE_DELETE || !job.w.value_size ? 0 : a.values;
	job.s = s;
	if (a.count > MAX_LOOP) {
		count_unreadable(&job.w, a.count - MAX_LOOP);
		a.count = MAX_LOOP;
	}
	bpf_loop(a.count, batch_one, &job, 0);
}

SEC("tracepoint/syscalls/sys_exit_bpf") int change_by_syscall(struct exit_event *ctx)
{
	void *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	u32 zero = 0, cmd;
	const void *attr;
	struct scratch *s = bpf_map_lookup_elem(&scratch_space, &zero);

	if (!s)
		return 0;
	if (bpf_core_field_exists(struct pt_regs___x86, di)) {
		cmd = BPF_CORE_READ((struct pt_regs___x86 *)regs, di);
		attr = (void *)BPF_CORE_READ((struct pt_regs___x86 *)regs, si);
	} else {
		cmd = BPF_CORE_READ((struct pt_regs___arm64 *)regs, orig_x0);
		attr = (void *)BPF_CORE_READ((struct pt_regs___arm64 *)regs, regs[1]);
	}
	switch (cmd) {
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_DELETE_ELEM:
	case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
		if (!ctx->ret)
			one_element(cmd, attr, s);
		else if (cmd == BPF_MAP_LOOKUP_AND_DELETE_ELEM && ctx->ret == -14 /* EFAULT */)
			gone_unseen(attr);
		break;
	case BPF_MAP_UPDATE_BATCH:
	case BPF_MAP_DELETE_BATCH:
	case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
		batch(cmd, attr, ctx->ret, s);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
