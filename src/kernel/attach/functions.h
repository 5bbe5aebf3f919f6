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

}  // namespace mapshift
