# SPDX-License-Identifier: Apache-2.0
"""The C source of a random module."""

from random_layout import declare
from random_module import key_part

HEAD = """// made by a generator
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <mapshift/module.bpf.h>

const volatile __u32 traced_pid = 0;

/* How many events arrived. */
%s
"""
# Of two generations.
VARIABLES = ("__u32 calls;\n__u64 frames MS_SUM;", "__u64 added[3] = {};\n__u32 frames MS_SUM;\n__u64 calls;")
TAIL = """
struct call {
	__u64 common;
	__s64 number;
	__u64 pid;
};

SEC("tracepoint/syscalls/sys_enter_getpgid")
int on_call(struct call *ctx)
{
	__u32 a = (__u32)ctx->pid - 1;

	if (bpf_get_current_pid_tgid() >> 32 == traced_pid && a < 1024) {
%s		__sync_fetch_and_add(&calls, 1);
	}
	return 0;
}

struct frame {
	__u8 head[14];
	__u32 number;
} __attribute__((packed));

SEC("xdp")
int on_frame(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;
	__u32 a;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	a = frame->number;
	if (frame->head[12] != 0x88 || frame->head[13] != 0xb5 || a >= 1024)
		return XDP_PASS;
%s	__sync_fetch_and_add(&frames, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
"""


def source(maps, generation, variables):
    """`variables`: which generation's global variables."""
    text = HEAD % VARIABLES[variables] + "".join(one_map(m, generation) for m in maps)
    calls = {by: "".join(f"\t\ttouch_{m.number}(a);\n" for m in maps if m.source == by) for by in ("call", "frame")}
    return text + TAIL % (calls["call"], calls["frame"])


def one_map(m, generation):
    name = m.names[generation]
    key, value = f"key_{m.number}", f"value_{m.number}"
    out = [""]
    if m.key:
        out.append(declare(key, m.key_orders[generation], generation, False, m.key_sizes[generation]))
    out.append(declare(value, m.orders[generation], generation, m.lock, m.sizes[generation]))
    trie = m.kinds[generation] == "lpm_trie"
    more = "\t__uint(map_flags, BPF_F_NO_PREALLOC);\n" if trie else ""
    key_type = f"struct {key}" if m.key or trie else "__u32"
    if trie:
        out.append(f"struct {key} {{\n\t__u32 length;\n\t__u32 prefix;\n}};\n")
    out.append(f"struct {{\n\t__uint(type, BPF_MAP_TYPE_{m.kinds[generation].upper()});\n\t__uint(max_entries, {m.room[generation]});\n"
               f"\t__type(key, {key_type});\n\t__type(value, struct {value});\n{more}}} {name} SEC(\".maps\");\n")
    out.append(touch(m, generation, name, key, value))
    return "\n".join(out)


def touch(m, generation, name, key, value):
    lines = [f"static __always_inline void touch_{m.number}(__u32 a)", "{", f"\t__u32 k = a % {m.keys};", f"\tstruct {value} *v;"]
    if m.key:
        lines += [f"\tstruct {key} key;", "", "\t__builtin_memset(&key, 0, sizeof key);"]
        lines += [f"\tkey.{leaf.forms[generation].path} = {c_key_part(leaf)};" for leaf in m.key if leaf.forms[generation]]
    elif m.kinds[generation] == "lpm_trie":
        lines += [f"\tstruct {key} key = {{32, __builtin_bswap32(k)}};"]
    else:
        lines += ["\t__u32 key = k;"]
    lines += [f"\tv = bpf_map_lookup_elem(&{name}, &key);"]
    if not m.is_array() and not m.control:
        lines += ["\tif (!v) {", f"\t\tstruct {value} fresh;", "", "\t\t__builtin_memset(&fresh, 0, sizeof fresh);"]
        for leaf in m.live(generation):
            if leaf.op in ("min", "first"):
                lines.append(f"\t\tfresh.{leaf.forms[generation].path} = {c_stored(leaf, generation)};")
        lines += [f"\t\tbpf_map_update_elem(&{name}, &key, &fresh, BPF_NOEXIST);", f"\t\tv = bpf_map_lookup_elem(&{name}, &key);", "\t}"]
    lines += ["\tif (!v)", "\t\treturn;"]
    if m.control:
        lines.append("\tasm volatile(\"\" :: \"r\"(*(volatile __u8 *)v));")
    if m.lock:
        lines.append("\tbpf_spin_lock(&v->lock);")
    for leaf in m.live(generation):
        lines += change(m, leaf, generation)
    if m.lock:
        lines.append("\tbpf_spin_unlock(&v->lock);")
    return "\n".join([*lines, "}", ""])


def c_key_part(leaf):
    if leaf.number == 0:
        return "k"
    return "0" if not all(leaf.forms) else f"(k * 77 + {leaf.number}) & {(1 << leaf.bits) - 1:#x}ull"


def c_stored(leaf, generation):
    form = leaf.forms[generation]
    if form.kind != "enum":
        return leaf.c_value()
    text = str(form.values[-1])
    for i in reversed(range(len(form.values) - 1)):
        text = f"e == {i} ? {form.values[i]} : {text}"
    return f"({{ __u64 e = {leaf.c_value()}; {text}; }})"


def change(m, leaf, generation):
    form = leaf.forms[generation]
    place = f"v->{form.path}" + ".whole" * (form.kind == "union")
    index = ""
    if form.count and leaf.op != "user":
        place += "[i]" if leaf.elements > 1 else "[0]"
        if leaf.elements > 1:
            index = f"__u32 i = (a / {m.keys}) % {leaf.elements}; asm volatile(\"\" : \"+r\"(i)); if (i < {leaf.elements}) "
    bit = f"1ull << ((a / {m.keys}) % {leaf.bits})"
    plain = m.lock or m.per_cpu and generation == 0 or m.kinds[generation].startswith("percpu")
    text = {
        "add": f"__sync_fetch_and_add(&{place}, {leaf.step});" if not m.lock else f"{place} += {leaf.step};",
        "plain": f"{place} += {leaf.step};",
        "or": f"{place} |= {bit};" if plain else f"__sync_fetch_and_or(&{place}, {bit});",
        "max": f"{{ {form.c_type()} x = {leaf.c_value()}; if (x > {place}) {place} = x; }}",
        "min": f"{{ {form.c_type()} x = {leaf.c_value()}; if (x < {place}) {place} = x; }}",
        "latest": f"{place} = {c_stored(leaf, generation)};",
    }.get(leaf.op)
    if index and text:
        return [f"\t{{ {index}{text} }}"]
    return ["\t" + text] if text else []
