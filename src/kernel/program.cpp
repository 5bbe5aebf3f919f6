// SPDX-License-Identifier: Apache-2.0
#include "kernel/program.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/pin.h"

namespace mapshift {
namespace {

Result<bpf_prog_info> info_of(int fd, const std::string& name) {
  bpf_prog_info info{};
  uint32_t length = sizeof(info);
  if (bpf_prog_get_info_by_fd(fd, &info, &length) != 0) return fail_errno(errno, name + " is not a readable program");
  return info;
}

uint64_t target_of(const bpf_prog_info& info) { return uint64_t{info.attach_btf_obj_id} << 32 | info.attach_btf_id; }

}  // namespace

Result<Program> Program::open(const std::string& pin) {
  MS_TRY(Fd fd, open_pin(pin));
  MS_TRY(const auto info, info_of(fd.get(), pin));
  return Program(std::move(fd), pin, info.id, info.type, target_of(info));
}

Result<Program> Program::by_id(uint32_t id) {
  const std::string name = "program " + std::to_string(id);
  Fd fd(bpf_prog_get_fd_by_id(id));
  if (!fd.valid()) return fail_errno(errno, "open " + name);
  MS_TRY(const auto info, info_of(fd.get(), name));
  return Program(std::move(fd), name, info.id, info.type, target_of(info));
}

Result<ProgramStats> Program::stats() const {
  MS_TRY(const auto info, info_of(fd(), name_));
  return ProgramStats{info.id, info.run_cnt, info.run_time_ns, info.recursion_misses};
}

std::string describe_program(uint32_t id) {
  const std::string number = "program " + std::to_string(id);
  const Fd fd(bpf_prog_get_fd_by_id(id));
  if (!fd.valid()) return number;
  const auto info = info_of(fd.get(), number);
  // The kernel takes letters, digits, '_' and '.' only.
  return !info || info->name[0] == '\0' ? number : number + " (" + std::string(info->name, strnlen(info->name, sizeof info->name)) + ")";
}

Result<std::vector<uint32_t>> Program::maps() const {
  MS_TRY(const auto counted, info_of(fd(), name_));
  std::vector<uint32_t> ids(counted.nr_map_ids);
  bpf_prog_info info{};
  info.nr_map_ids = counted.nr_map_ids;
  info.map_ids = reinterpret_cast<uint64_t>(ids.data());
  uint32_t length = sizeof(info);
  if (bpf_prog_get_info_by_fd(fd(), &info, &length) != 0) return fail_errno(errno, "read the maps of " + name_);
  ids.resize(std::min<size_t>(ids.size(), info.nr_map_ids));
  return ids;
}

Result<Fd> enable_run_stats() {
  Fd fd(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!fd.valid()) return fail_errno(errno, "enable run statistics of BPF programs");
  return fd;
}

}  // namespace mapshift
