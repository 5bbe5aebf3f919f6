// SPDX-License-Identifier: GPL-2.0-only
// Changes of watched maps at the functions of the map types themselves, which the verifier makes programs call directly, as
// system calls do. User space loads the programs of those functions that the running kernel has. Past them go writes in
// place, eviction from LRU maps, and lookup-and-delete in batches.
#include "changes_emit.h"

#define PROGRAMS 12

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PROGRAMS);
	__type(key, u32);
	__type(value, struct scratch);
} scratch_space SEC(".maps");

/*
 * ctx: the function's arguments, then what it returned. A program is not entered again on its CPU before it is done (the kernel
 * counts that in recursion_misses), but another of these may interrupt it: each has a scratch space of its own.
 */
static __always_inline void changed(u64 *ctx, u32 program, u8 op, u64 flags, long ret)
{
	struct bpf_map___probe *map = (void *)ctx[0];
	struct scratch *s;
	struct sighting w = {};

	if (ret || !watched_by(BPF_CORE_READ(map, id), MS_CHANGE_FEXIT, &w))
		return;
	s = bpf_map_lookup_elem(&scratch_space, &program);
	if (!s)
		return;
	w.op = op == MS_CHANGE_UPDATE && flags & BPF_NOEXIST ? MS_CHANGE_INSERT : op;
	w.key = (void *)ctx[1];
	w.key_size = BPF_CORE_READ(map, key_size);
	if (op != MS_CHANGE_DELETE && !is_percpu(BPF_CORE_READ(map, map_type))) {
		w.value = (void *)ctx[2];
		w.value_size = BPF_CORE_READ(map, value_size);
	}
	emit(&w, s);
}

#define ON_UPDATE(function, program)                                                         \
	SEC("fexit/" #function) int on_##function(u64 *ctx)                                    \
	{                                                                                      \
		changed(ctx, program, MS_CHANGE_UPDATE, ctx[3], (int)ctx[4]);                  \
		return 0;                                                                      \
	}
#define ON_DELETE(function, program)                                                         \
	SEC("fexit/" #function) int on_##function(u64 *ctx)                                    \
	{                                                                                      \
		changed(ctx, program, MS_CHANGE_DELETE, 0, (int)ctx[2]);                       \
		return 0;                                                                      \
	}

ON_UPDATE(htab_map_update_elem, 0)
ON_DELETE(htab_map_delete_elem, 1)
ON_UPDATE(htab_lru_map_update_elem, 2)
ON_DELETE(htab_lru_map_delete_elem, 3)
ON_UPDATE(array_map_update_elem, 4)
ON_UPDATE(trie_update_elem, 5)
ON_DELETE(trie_delete_elem, 6)
ON_UPDATE(htab_percpu_map_update_elem, 7)
ON_UPDATE(htab_lru_percpu_map_update_elem, 8)
ON_UPDATE(bpf_percpu_hash_update, 9)
ON_UPDATE(bpf_percpu_array_update, 10)

/* (map, key, value, is_lru_map, is_percpu, flags) */
SEC("fexit/__htab_map_lookup_and_delete_elem") int on___htab_map_lookup_and_delete_elem(u64 *ctx)
{
	changed(ctx, 11, MS_CHANGE_DELETE, 0, (int)ctx[6]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
