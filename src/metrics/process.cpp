// SPDX-License-Identifier: Apache-2.0
#include "metrics/process.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

namespace mapshift::metrics {
namespace {

double count_fds() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  double count = 0;
  while (const dirent* entry = ::readdir(folder)) count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count - 1;  // without the one that reads the folder
}

double boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);)
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  return 0;
}

}  // namespace

std::optional<ProcessStats> process_stats() {
  std::ifstream file("/proc/self/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  // The second field, the name in parentheses, may hold anything, spaces and parentheses too.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string state;
  fields >> state;
  constexpr int kFirst = 4, kUtime = 14, kStime = 15, kStart = 22, kVirtual = 23, kResident = 24;  // proc(5) numbering
  double values[kResident + 1] = {};
  for (int i = kFirst; i <= kResident; ++i) fields >> values[i];
  if (!fields) return std::nullopt;

  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const double boot = boot_time();
  ProcessStats stats;
  stats.cpu_seconds = (values[kUtime] + values[kStime]) / ticks;
  stats.start_time = boot + values[kStart] / ticks;
  stats.virtual_bytes = values[kVirtual];
  stats.resident_bytes = values[kResident] * static_cast<double>(::sysconf(_SC_PAGESIZE));
  stats.open_fds = count_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<double>(limit.rlim_cur);
  return stats;
}

}  // namespace mapshift::metrics
