// SPDX-License-Identifier: Apache-2.0
#include "kernel_ids.h"

#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

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

// A descriptor's fdinfo names the object: "prog_id:\t7".
void add_ids_of(const std::filesystem::path& fdinfo, KernelIds& known) {
  std::ifstream info(fdinfo);
  uint32_t id = 0;
  for (std::string word; info >> word;) {
    if (word == "prog_id:" && info >> id) known.programs.insert(id);
    if (word == "map_id:" && info >> id) known.maps.insert(id);
    if (word == "link_id:" && info >> id) known.links.insert(id);
  }
}

void add_held_by_others(KernelIds& known) {
  std::error_code gone;  // processes come and go meanwhile
  for (const auto& process : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string pid = process.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos || pid == std::to_string(::getpid())) continue;
    for (std::filesystem::directory_iterator fd(process.path() / "fd", gone), end; !gone && fd != end; fd.increment(gone)) {
      std::error_code closed;
      const auto target = std::filesystem::read_symlink(fd->path(), closed).string();
      if (target.starts_with("anon_inode:bpf")) add_ids_of(process.path() / "fdinfo" / fd->path().filename(), known);
    }
    gone.clear();
  }
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
  KernelIds known = before;
  const auto clean_now = [&] {
    const KernelIds now = KernelIds::now();
    if (now.within(known)) return true;
    add_held_by_others(known);
    return now.within(known);
  };
  // Grace periods are long where the machine is busy; nobody waits who left nothing.
  const bool clean = eventually(clean_now, std::chrono::seconds(30));
  return clean ? std::string() : KernelIds::now().added_since(known);
}

}  // namespace mapshift::test
