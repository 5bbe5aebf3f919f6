// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "kernel/attach/type.h"

namespace mapshift {

// What the files beside this one define for the table; see AttachType for the contract of each column.
Result<uint32_t> xdp_attach_type(const Hook& hook);
Status check_xdp(const Hook& hook);
Result<Fd> open_xdp_link(const Hook& hook, int program_fd);

Result<uint32_t> tcx_attach_type(const Hook& hook);
Status check_tcx(const Hook& hook);
Result<Fd> open_tcx_link(const Hook& hook, int program_fd);

Result<uint32_t> cgroup_attach_type(const Hook& hook);
Status check_cgroup(const Hook& hook);
Result<Fd> open_cgroup_link(const Hook& hook, int program_fd);
Result<uint32_t> cgroup_program_type(const Hook& hook);

Result<uint32_t> tracepoint_attach_type(const Hook& hook);
Status check_tracepoint(const Hook& hook);
Result<Fd> open_tracepoint_link(const Hook& hook, int program_fd);

Result<uint32_t> raw_tracepoint_attach_type(const Hook& hook);
Status check_raw_tracepoint(const Hook& hook);
Result<Fd> open_raw_tracepoint_link(const Hook& hook, int program_fd);

Result<uint32_t> tc_attach_type(const Hook& hook);  // a filter without a link: see filter.h
Status check_tc(const Hook& hook);

Result<uint32_t> netkit_attach_type(const Hook& hook);
Status check_netkit(const Hook& hook);
Result<Fd> open_netkit_link(const Hook& hook, int program_fd);

Result<uint32_t> netns_attach_type(const Hook& hook);  // sk_lookup and flow_dissector
Status check_netns(const Hook& hook);
Result<Fd> open_netns_link(const Hook& hook, int program_fd);
Result<uint32_t> uprobe_attach_type(const Hook& hook);  // and uretprobe
Status check_uprobe(const Hook& hook);
Result<Fd> open_uprobe_link(const Hook& hook, int program_fd);
Status refuse_go_returns(const Hook& hook, bool go);

Result<uint32_t> uprobe_multi_attach_type(const Hook& hook);  // and uretprobe_multi
Status check_uprobe_multi(const Hook& hook);
Result<Fd> open_uprobe_multi_link(const Hook& hook, int program_fd);

Result<uint32_t> kprobe_attach_type(const Hook& hook);  // and kretprobe
Status check_kprobe(const Hook& hook);
Result<Fd> open_kprobe_link(const Hook& hook, int program_fd);

Result<uint32_t> kprobe_multi_attach_type(const Hook& hook);  // and kretprobe_multi
Status check_kprobe_multi(const Hook& hook);
Result<Fd> open_kprobe_multi_link(const Hook& hook, int program_fd);

Result<uint32_t> tracing_attach_type(const Hook& hook);  // fentry, fexit, tp_btf, lsm
Status check_tracing(const Hook& hook);
Status aim_tracing(const Hook& hook, bpf_program* program);
Result<Fd> open_tracing_link(const Hook& hook, int program_fd);

Result<uint32_t> perf_event_attach_type(const Hook& hook);
Status check_perf_event(const Hook& hook);
Result<std::vector<Fd>> open_perf_event_links(const Hook& hook, int program_fd, const Program& behind);

Result<uint32_t> sockmap_attach_type(const Hook& hook);
Status check_sockmap(const Hook& hook);
Result<Fd> open_sockmap_link(const Hook& hook, int program_fd);
Result<uint32_t> sockmap_program_type(const Hook& hook);

Result<uint32_t> iter_attach_type(const Hook& hook);
Status check_iter(const Hook& hook);
Status aim_iter(const Hook& hook, bpf_program* program);
Result<Fd> open_iter_link(const Hook& hook, int program_fd);

Result<uint32_t> struct_ops_attach_type(const Hook& hook);
Status check_struct_ops(const Hook& hook);
Result<Fd> open_struct_ops_link(const Hook& hook, int map_fd);

Result<uint32_t> usdt_attach_type(const Hook& hook);
Status check_usdt(const Hook& hook);
Result<std::vector<Fd>> open_usdt_links(const Hook& hook, int program_fd, const Program& behind);
Status before_usdt_swap(const Program& from, const Program& to);

}  // namespace mapshift
