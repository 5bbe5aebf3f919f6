// SPDX-License-Identifier: Apache-2.0
#include <linux/bpf.h>
#include <net/if.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/attach/type.h"

namespace mapshift {
namespace {

constexpr AttachType kTable[] = {
    {"xdp", "packets as an interface receives them: interface, mode (auto, native, generic)", SwapMode::kNative,
     BPF_PROG_TYPE_XDP, xdp_attach_type, check_xdp, open_xdp_link},
    {"tcx", "packets at an interface's traffic control: interface, direction (ingress, egress)", SwapMode::kNative,
     BPF_PROG_TYPE_SCHED_CLS, tcx_attach_type, check_tcx, open_tcx_link},
    {"cgroup", "what a cgroup's processes and sockets do: path, hook (skb_ingress, skb_egress, sock_ops, connect4, setsockopt, …)",
     SwapMode::kNative, BPF_PROG_TYPE_CGROUP_SKB, cgroup_attach_type, check_cgroup, open_cgroup_link, nullptr, nullptr, nullptr,
     cgroup_program_type},
    {"tracepoint", "an event of tracefs: category, name", SwapMode::kDispatcher, BPF_PROG_TYPE_TRACEPOINT,
     tracepoint_attach_type, check_tracepoint, open_tracepoint_link},
    {"raw_tracepoint", "a tracepoint with its raw arguments: name", SwapMode::kDispatcher, BPF_PROG_TYPE_RAW_TRACEPOINT,
     raw_tracepoint_attach_type, check_raw_tracepoint, open_raw_tracepoint_link},
    {"tc", "packets at an interface's clsact filters: interface, direction (ingress, egress), priority, handle", SwapMode::kFilter,
     BPF_PROG_TYPE_SCHED_CLS, tc_attach_type, check_tc, nullptr},
    {"netkit", "packets of a netkit pair: interface, direction (primary, peer)", SwapMode::kNative, BPF_PROG_TYPE_SCHED_CLS,
     netkit_attach_type, check_netkit, open_netkit_link},
    {"sk_lookup", "which socket gets a packet, of a network namespace: path (default: the agent's own)", SwapMode::kNative,
     BPF_PROG_TYPE_SK_LOOKUP, netns_attach_type, check_netns, open_netns_link},
    {"flow_dissector", "how a network namespace reads packets' headers: path (default: the agent's own)", SwapMode::kNative,
     BPF_PROG_TYPE_FLOW_DISSECTOR, netns_attach_type, check_netns, open_netns_link},
    {"uprobe", "a function of an executable: path, symbol or offset (or both), pid", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     uprobe_attach_type, check_uprobe, open_uprobe_link},
    {"uretprobe", "the return of a function of an executable, not of Go: path, symbol, pid", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     uprobe_attach_type, check_uprobe, open_uprobe_link},
    {"uprobe_multi", "functions of an executable: path, symbol (with * and ?), pid", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     uprobe_multi_attach_type, check_uprobe_multi, open_uprobe_multi_link},
    {"uretprobe_multi", "returns of functions of an executable, not of Go: path, symbol (with * and ?), pid", SwapMode::kDispatcher,
     BPF_PROG_TYPE_KPROBE, uprobe_multi_attach_type, check_uprobe_multi, open_uprobe_multi_link},
    {"kprobe", "a function of the kernel: name, offset", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE, kprobe_attach_type, check_kprobe,
     open_kprobe_link},
    {"kretprobe", "the return of a function of the kernel: name", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE, kprobe_attach_type,
     check_kprobe, open_kprobe_link},
    {"kprobe_multi", "functions of the kernel: name (with * and ?)", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     kprobe_multi_attach_type, check_kprobe_multi, open_kprobe_multi_link},
    {"kretprobe_multi", "returns of functions of the kernel: name (with * and ?)", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     kprobe_multi_attach_type, check_kprobe_multi, open_kprobe_multi_link},
    {"fentry", "a function of the kernel, with typed arguments: name", SwapMode::kDispatcher, BPF_PROG_TYPE_TRACING, tracing_attach_type,
     check_tracing, open_tracing_link, aim_tracing},
    {"fexit", "the return of a function of the kernel, with typed arguments and result: name", SwapMode::kDispatcher,
     BPF_PROG_TYPE_TRACING, tracing_attach_type, check_tracing, open_tracing_link, aim_tracing},
    {"tp_btf", "a tracepoint with typed arguments: name", SwapMode::kDispatcher, BPF_PROG_TYPE_TRACING, tracing_attach_type, check_tracing,
     open_tracing_link, aim_tracing},
    {"lsm", "a decision of the kernel on security: name", SwapMode::kDispatcher, BPF_PROG_TYPE_LSM, tracing_attach_type, check_tracing,
     open_tracing_link, aim_tracing},
    {"perf_event", "samples of every CPU: event, frequency or period", SwapMode::kDispatcher, BPF_PROG_TYPE_PERF_EVENT,
     perf_event_attach_type, check_perf_event, nullptr, nullptr, open_perf_event_links},
    {"usdt", "a static probe of an executable: path, provider, name, pid", SwapMode::kDispatcher, BPF_PROG_TYPE_KPROBE,
     usdt_attach_type, check_usdt, nullptr, nullptr, open_usdt_links, before_usdt_swap},
    {"sockmap", "what sockets in a map send or receive: map, hook (stream_parser, stream_verdict, verdict, msg_verdict)", SwapMode::kNative,
     BPF_PROG_TYPE_SK_SKB, sockmap_attach_type, check_sockmap, open_sockmap_link, nullptr, nullptr, nullptr, sockmap_program_type},
    {"iter", "objects of the kernel, listed to who reads the link's pin: name (task, tcp, bpf_map_elem, …), map", SwapMode::kNative,
     BPF_PROG_TYPE_TRACING, iter_attach_type, check_iter, open_iter_link, aim_iter},
    {"struct_ops", "a table of functions that the kernel calls, a variable in the section .struct_ops.link: nothing else", SwapMode::kNative,
     BPF_PROG_TYPE_STRUCT_OPS, struct_ops_attach_type, check_struct_ops, open_struct_ops_link, nullptr, nullptr, nullptr, nullptr, true},
};

}  // namespace

std::span<const AttachType> attach_types() { return kTable; }

Result<const AttachType*> find_attach_type(const std::string& name) {
  for (const auto& type : kTable) {
    if (type.name == name) return &type;
  }
  std::string served;
  for (const auto& type : kTable) served += (served.empty() ? "" : ", ") + std::string(type.name);
  return fail(ErrorCode::kUnsupported, "the attach type \"" + name + "\" is not served; served are " + served);
}

Result<uint32_t> program_type_of(const AttachType& type, const Hook& hook) {
  if (type.program_type_of == nullptr) return type.program_type;
  return type.program_type_of(hook);
}

Result<int> interface_index(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index != 0) return static_cast<int>(index);
  return fail(Error{ErrorCode::kNotFound, errno, "there is no network interface \"" + name + "\"", {}, {}});
}

Status check_event_name(const std::string& what, const std::string& name) {
  constexpr size_t kLongest = 128;
  const bool sane = !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  if (sane) return {};
  return fail(ErrorCode::kInvalid, what + " \"" + name.substr(0, kLongest) +
      "\" is no name of an event: use letters, digits, '_', '-'");
}

}  // namespace mapshift
