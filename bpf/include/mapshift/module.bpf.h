/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * For authors of BPF modules: say beside each field how two generations of it are reconciled.
 *
 * While a module is updated, the map of the old generation and the map of the new one are both written to. Each field
 * is merged on its own; what it means is something only its author knows for sure. Without a word here the merge is
 * inferred from the programs (shown by `mapshift plan`, with the instruction it was inferred from), else it is `latest`.
 *
 * A complete example:
 *
 *	#include <linux/bpf.h>
 *	#include <bpf/bpf_helpers.h>
 *	#include <mapshift/module.bpf.h>
 *
 *	struct session {
 *		__u64 packets MS_SUM;			// add up what both generations counted
 *		__u64 last_seen MS_MAX;			// the later of both
 *		__u32 shortest MS_MIN;			// the smaller of both
 *		__u32 flags MS_OR;			// bits seen by either
 *		__u64 created MS_FIRST;			// set when the key is created, never after
 *		__u32 state MS_LATEST;			// whoever changed it; both: the active generation
 *		__u32 owner MS_LATEST MS_FROM("uid");	// was called `uid` in the old generation
 *		__u32 weight MS_DEFAULT(1);		// new: keys that come from the old generation get 1
 *	} MS_EPOCH(2);					// 2: its meaning changed though its layout may not have
 *
 *	struct {
 *		__uint(type, BPF_MAP_TYPE_HASH);
 *		__uint(max_entries, 65536);
 *		__type(key, __u64);
 *		__type(value, struct session);
 *	} sessions SEC(".maps");
 *
 *	SEC("xdp") int count(struct xdp_md *ctx)
 *	{
 *		__u64 id = ctx->ingress_ifindex;
 *		struct session *s = bpf_map_lookup_elem(&sessions, &id);
 *
 *		if (s)
 *			__sync_fetch_and_add(&s->packets, 1);
 *		return XDP_PASS;
 *	}
 *	char LICENSE[] SEC("license") = "GPL";
 *
 * Tags become BTF declaration tags, which clang 14 and later keep with -g. Other compilers see plain fields, so that
 * the same header can be used by the reader in user space. The manifest overrides what is said here:
 * "maps": {"sessions": {"fields": {"packets": {"merge": "latest"}}, "epoch": 3}}.
 *
 * For an exact sum change the field with one atomic instruction (__sync_fetch_and_add) and insert new keys whole with
 * BPF_NOEXIST. `v->packets++` in a map that CPUs share loses counts even without an update.
 */
#ifndef MAPSHIFT_MODULE_BPF_H
#define MAPSHIFT_MODULE_BPF_H

#if defined(__has_attribute)
#if __has_attribute(btf_decl_tag)
#define MS_TAG_(text) __attribute__((btf_decl_tag("mapshift:" text)))
#endif
#endif
#ifndef MS_TAG_
#define MS_TAG_(text)
#endif

#define MS_STRING_(x) #x
#define MS_STRING(x) MS_STRING_(x)

/* After a field. */
#define MS_SUM MS_TAG_("merge=sum")
#define MS_LATEST MS_TAG_("merge=latest")
#define MS_MAX MS_TAG_("merge=max")
#define MS_MIN MS_TAG_("merge=min")
#define MS_OR MS_TAG_("merge=or")
#define MS_FIRST MS_TAG_("merge=first")
#define MS_FROM(old) MS_TAG_("from=" old)		/* a string: MS_FROM("saddr"), MS_FROM("meta.saddr") */
#define MS_DEFAULT(n) MS_TAG_("default=" MS_STRING(n))	/* a number, or a macro that is one */

/*
 * Which member of a union is in use, by a field beside it:
 *
 *	enum kind { TCP = 1, UDP = 2 };
 *	struct session {
 *		enum kind kind;
 *		union {
 *			struct tcp tcp MS_WHEN(TCP);
 *			struct udp udp MS_WHEN(UDP) MS_WHEN(136);
 *		} u MS_UNION(kind);
 *	};
 *
 * Then members are matched by name and converted and merged field by field, whatever else lies on the same bytes. MS_WHEN takes a
 * number, a macro that is one, or an enumerator of the discriminator. A value whose discriminator is none of these is counted; its
 * bytes are carried as they are, or with MS_OTHERWISE_ZERO not at all. An anonymous union has its MS_UNION before the semicolon.
 */
#define MS_UNION(discriminator) MS_TAG_("union=" MS_STRING(discriminator))
#define MS_WHEN(value) MS_TAG_("when=" MS_STRING(value))
#define MS_OTHERWISE_ZERO MS_TAG_("otherwise=zero")

/* After a type: } MS_EPOCH(2); */
#define MS_EPOCH(n) MS_TAG_("epoch=" MS_STRING(n))

/*
 * A conversion that fields cannot say, as a function of the new object, and the way back for a rollback:
 *
 *	MS_TRANSFORM(up_flow, struct flow_v1, struct flow)
 *	{
 *		to->packets = from->packets_in + from->packets_out;
 *		to->last_seen_ms = from->last_seen / 1000000;
 *	}
 *	MS_TRANSFORM(down_flow, struct flow, struct flow_v1)
 *	{
 *		to->last_seen = from->last_seen_ms * 1000000;
 *	}
 *
 * named in the manifest: "maps": {"flows": {"transform": {"up": "up_flow", "down": "down_flow"}}}. The function is given the old
 * value, `from`, and fills the new one, `to`, which is zero before but for the defaults of its fields. The way back finds the old
 * value in `to`. It must be a plain calculation of its argument: it runs on every value in every pass, and the same value must
 * always give the same result. What the fields of the new layout say about merging holds for what it makes: a field whose old
 * values add up (MS_SUM) must be made of old values by adding. Without a way back a rollback loses what only the new
 * generation wrote. The kernel's verifier checks it like a program; maps it cannot use.
 */
#define MS_TRANSFORM(name, old_type, new_type)                                                  \
	static __attribute__((always_inline)) void name##_(const old_type *from, new_type *to); \
	__attribute__((visibility("hidden"))) int name(const void *from, void *to)              \
	{                                                                                       \
		name##_(from, to);                                                              \
		return 0;                                                                       \
	}                                                                                       \
	static __attribute__((always_inline)) void name##_(const old_type *from, new_type *to)

/*
 * A map that is built from two maps of the old generation, which the manifest names: {"from": "conn", "transform": {"up": "session_up",
 * "down": "session_down", "with": "names"}}. `from` is a value of the first one, `beside` that of the second one under the same key, or
 * null where it has none:
 *
 *	MS_TRANSFORM2(session_up, struct conn, struct name, struct session)
 *	{
 *		to->packets = from->packets;
 *		if (beside)
 *			to->name = beside->id;
 *	}
 *	MS_TRANSFORM2(session_down, struct session, struct name, struct conn)
 *	{
 *		to->packets = from->packets;
 *	}
 *
 * `down` writes the first map. What `up` adds to a sum out of `beside`, `down` takes out again; for a key that the new generation made
 * it is told of no `beside`. The second map is only read, unless the manifest names a function for what goes back to it, "with_down":
 *
 *	MS_TRANSFORM(names_down, struct session, struct name) { to->id = from->name; }
 *
 * Where the second map has other keys a function computes them of the first map's key and value, named by "with_key":
 *
 *	MS_TRANSFORM_KEY(name_of, struct conn_key, struct conn, __u32) { *to = from->name_id; }
 */
#define MS_TRANSFORM2(name, from_type, beside_type, to_type)                                                             \
	static __attribute__((always_inline)) void name##_(const from_type *from, const beside_type *beside, to_type *to); \
	__attribute__((visibility("hidden"))) int name(const void *from, const void *beside, void *to)                   \
	{                                                                                                                \
		name##_(from, beside, to);                                                                               \
		return 0;                                                                                                \
	}                                                                                                                \
	static __attribute__((always_inline)) void name##_(const from_type *from, const beside_type *beside, to_type *to)

#define MS_TRANSFORM_KEY(name, key_type, old_type, with_key_type)                                                        \
	static __attribute__((always_inline)) void name##_(const key_type *key, const old_type *from, with_key_type *to); \
	__attribute__((visibility("hidden"))) int name(const void *key, const void *from, void *to)                      \
	{                                                                                                                \
		name##_(key, from, to);                                                                                  \
		return 0;                                                                                                \
	}                                                                                                                \
	static __attribute__((always_inline)) void name##_(const key_type *key, const old_type *from, with_key_type *to)

/*
 * Logging changes of maps. Nobody tells user space that a map changed; these wrappers do, at some 50 ns a change:
 *
 *	#include <linux/bpf.h>
 *	#include <bpf/bpf_helpers.h>
 *	#include <mapshift/module.bpf.h>	// after bpf_helpers.h; compiled with -mcpu=v3
 *
 *	struct {
 *		__uint(type, BPF_MAP_TYPE_HASH);
 *		__uint(max_entries, 1024);
 *		__type(key, __u32);		// by type, not by size
 *		__type(value, struct verdict);
 *	} verdicts SEC(".maps");
 *	MS_LOGGED(verdicts);
 *
 *	SEC("tracepoint/sched/sched_process_exec") int judge(void *ctx)
 *	{
 *		__u32 pid = bpf_get_current_pid_tgid() >> 32;
 *		struct verdict *v = bpf_map_lookup_elem(&verdicts, &pid), fresh = {.seen = 1};
 *
 *		if (v) {
 *			__sync_fetch_and_add(&v->seen, 1);
 *			MS_CHANGED(verdicts, &pid, v);			// written in place: say so where it matters
 *			if (v->expired)
 *				ms_map_delete(verdicts, &pid);		// the map, not its address
 *			return 0;
 *		}
 *		ms_map_update(verdicts, &pid, &fresh, BPF_ANY);	// does the operation; logs it when it succeeded
 *		return 0;
 *	}
 *
 * The wrappers return what the helpers return. Watch the map with "changes" of the agent's configuration, read it with `mapshift
 * changes MODULE/MAP`. Key and value bytes leave the kernel only where that configuration allows it. An object loaded by anybody
 * else than the agent logs nothing and pays nothing: the kernel removes the code. The maps `ms_changes`, `ms_change_slots`
 * and `ms_change_lost` are the agent's; leave them alone.
 */
#if defined(__bpf__) && defined(SEC)
#include "module_gate.bpf.h"
#include "module_log.bpf.h"
#endif

#endif
