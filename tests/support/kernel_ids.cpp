// SPDX-License-Identifier: Apache-2.0
#include "kernel_ids.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>

#include "kernel_test.h"

namespace mapshift::test {
namespace {

std::set<uint32_t> walk(int (*next)(__u32, __u32*)) {
  std::set<uint32_t> ids;
  for (__u32 id = 0; next(id, &id) == 0;) ids.insert(id);
  return ids;
}

std::string program_name(uint32_t id) {
  const int fd = bpf_prog_get_fd_by_id(id);
  if (fd < 0) return {};
  bpf_prog_info info{};
  __u32 length = sizeof(info);
  bpf_prog_get_info_by_fd(fd, &info, &length);
  ::close(fd);
  return " program " + std::to_string(id) + " (" + info.name + ")";
}

std::string map_name(uint32_t id) {
  const int fd = bpf_map_get_fd_by_id(id);
  if (fd < 0) return {};
  bpf_map_info info{};
  __u32 length = sizeof(info);
  bpf_map_get_info_by_fd(fd, &info, &length);
  ::close(fd);
  return " map " + std::to_string(id) + " (" + info.name + ")";
}

}  // namespace

KernelIds KernelIds::now() { return {walk(bpf_prog_get_next_id), walk(bpf_map_get_next_id), walk(bpf_link_get_next_id)}; }

bool KernelIds::within(const KernelIds& other) const {
  const auto subset = [](const std::set<uint32_t>& some, const std::set<uint32_t>& all) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
  };
  return subset(programs, other.programs) && subset(maps, other.maps) && subset(links, other.links);
}

std::string KernelIds::added_since(const KernelIds& before) const {
  std::string added;
  for (const uint32_t id : programs) {
    if (!before.programs.contains(id)) added += program_name(id);
  }
  for (const uint32_t id : maps) {
    if (!before.maps.contains(id)) added += map_name(id);
  }
  for (const uint32_t id : links) {
    if (!before.links.contains(id)) added += " link " + std::to_string(id);
  }
  return added;
}

std::string left_over_since(const KernelIds& before) {
  // Names are asked for at the end only: each look at a program array makes the kernel put off its end.
  if (eventually([&] { return KernelIds::now().within(before); })) return {};
  return KernelIds::now().added_since(before);
}

}  // namespace mapshift::test
