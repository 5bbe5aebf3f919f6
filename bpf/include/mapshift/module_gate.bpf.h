/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * For programs that may sleep (sections that end in ".s"). The kernel lets nobody exchange them in place, so while a module is updated
 * both generations' programs are attached for some moments. The gate lets one of them do something at each event:
 *
 *	MS_GATED(on_open);
 *
 *	SEC("uprobe.s")
 *	int on_open(struct pt_regs *ctx)
 *	{
 *		if (!ms_my_turn(on_open))
 *			return 0;
 *		...
 *
 * and in the manifest: "programs": {"on_open": {"overlap": true, "attach": ...}}. The maps `ms_gate_on_open` and `ms_turn_on_open` are
 * the agent's; both generations must have the same ones, so leave their policy alone. An object that anybody else than the agent loads
 * always has its turn. Included by module.bpf.h.
 */
#ifndef MAPSHIFT_MODULE_GATE_BPF_H
#define MAPSHIFT_MODULE_GATE_BPF_H

/* ms_generation: which one this object is; the agent sets it. Declared as often as there are gates, defined once. */
#define MS_GATED(program)                                     \
	const volatile __u32 ms_generation;                   \
	struct {                                              \
		__uint(type, BPF_MAP_TYPE_ARRAY);             \
		__uint(max_entries, 1);                       \
		__uint(map_flags, BPF_F_MMAPABLE);            \
		__type(key, __u32);                           \
		__type(value, __u64);                         \
	} ms_gate_##program SEC(".maps");                     \
	struct {                                              \
		__uint(type, BPF_MAP_TYPE_HASH);              \
		__uint(max_entries, 8192);                    \
		__type(key, __u64);                           \
		__type(value, __u64);                         \
	} ms_turn_##program SEC(".maps")

#define ms_my_turn(program) ms_my_turn_(&ms_gate_##program, &ms_turn_##program, ms_generation)

/*
 * The word: the active generation below, above it the one that was attached last while there are two, else 0. An event runs the newest
 * program first. What that decides it leaves to the other one, under the task's number: whatever happens to the word in between, one of
 * them acts, and one only.
 */
static __always_inline int ms_my_turn_(void *gate, void *turns, __u32 mine)
{
	__u64 task = bpf_get_current_pid_tgid(), word, decided;
	__u32 zero = 0, newest;
	volatile __u64 *now = bpf_map_lookup_elem(gate, &zero);
	__u64 *turn;

	if (!now)
		return 0;
	word = *now;
	newest = word >> 32;
	decided = (__u32)word;
	if (newest == 0)
		return decided == mine;
	if (newest == mine) {
		bpf_map_update_elem(turns, &task, &decided, BPF_ANY);
		return decided == mine;
	}
	turn = bpf_map_lookup_elem(turns, &task);
	if (turn) {
		decided = *turn;
		bpf_map_delete_elem(turns, &task);
	}
	return decided == mine;
}

#endif
