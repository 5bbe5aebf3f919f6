// SPDX-License-Identifier: Apache-2.0
#include "kernel/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace mapshift {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();

uint64_t host_available(const std::string& root) {
  std::ifstream info(root + "/proc/meminfo");
  for (std::string word; info >> word;) {
    uint64_t kib = 0;
    if (word == "MemAvailable:" && info >> kib) return kib * 1024;
  }
  return 0;
}

// "max" and a missing file (the root cgroup) are no number.
std::optional<uint64_t> number_in(const std::string& path) {
  uint64_t value = 0;
  if (std::ifstream(path) >> value) return value;
  return std::nullopt;
}

struct Names {
  const char *limit, *usage;
};

// The tightest limit on the way from a cgroup up to the root of its hierarchy.
uint64_t left_in(const std::string& mount, std::string cgroup, const Names& names) {
  uint64_t left = kUnlimited;
  while (true) {
    const std::string dir = mount + cgroup;
    const auto limit = number_in(dir + "/" + names.limit);
    const auto usage = number_in(dir + "/" + names.usage);
    if (limit && usage) left = std::min(left, *limit > *usage ? *limit - *usage : 0);
    if (cgroup.empty() || cgroup == "/") return left;
    cgroup.erase(cgroup.find_last_of('/'));
  }
}

// mountinfo: "id parent dev root mount-point options [tags] - type source super-options"
std::string mount_of(const std::string& root, const std::string& type, const std::string& option) {
  std::ifstream mounts(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string skip, point, found_type, source, options;
    before >> skip >> skip >> skip >> skip >> point;
    after >> found_type >> source >> options;
    const bool has_option = option.empty() || ("," + options + ",").find("," + option + ",") != std::string::npos;
    if (found_type == type && has_option) return root + point;
  }
  return {};
}

}  // namespace

uint64_t available_memory_below(const std::string& root) {
  uint64_t available = host_available(root);
  std::ifstream groups(root + "/proc/self/cgroup");  // "0::/path" is version 2, "4:memory:/path" version 1
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",memory,") == std::string::npos) continue;
    const std::string mount = unified ? mount_of(root, "cgroup2", "") : mount_of(root, "cgroup", "memory");
    if (mount.empty()) continue;
    const Names names = unified ? Names{"memory.max", "memory.current"} : Names{"memory.limit_in_bytes", "memory.usage_in_bytes"};
    available = std::min(available, left_in(mount, line.substr(second + 1), names));
  }
  return available;
}

}  // namespace mapshift
