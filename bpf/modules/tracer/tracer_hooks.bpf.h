/* SPDX-License-Identifier: GPL-2.0-only */
/* The programs, the same in all versions; what they do with a latency is record(), of each version its own. */

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_enter(void *ctx)
{
	begin();
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_getpgid")
int on_exit(void *ctx)
{
	struct totals *all = my_totals();
	struct start start;
	__u32 thread;

	if (all && is_traced(&thread) && end(thread, all, &start))
		record(&start, bpf_ktime_get_ns() - start.at);
	return 0;
}

/* A call of the traced function; its first argument is a number. The manifest says where the function is. */
SEC("uprobe")
int on_work(struct pt_regs *ctx)
{
	__u32 thread;

	if (is_traced(&thread))
		count_work(PT_REGS_PARM1(ctx));
	return 0;
}
