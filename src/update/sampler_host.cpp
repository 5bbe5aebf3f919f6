// SPDX-License-Identifier: Apache-2.0
#include "update/sampler_host.h"

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <vector>

namespace mapshift::update {
namespace {

constexpr size_t kMaxLine = 4096;

// The first line of a file of the kernel's.
Result<std::string> first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!in) return fail_errno(errno, "open " + path);
  if (!std::getline(in, line) || line.size() > kMaxLine) return fail(ErrorCode::kInternal, path + " is not what the kernel documents");
  return line;
}

Result<double> read_number(const std::string& path) {
  MS_TRY(const std::string line, first_line(path));
  double value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  if (error != std::errc{} || end == line.data()) return fail(ErrorCode::kInternal, path + " holds no number");
  return value;
}

}  // namespace

// proc_stat(5): cpu user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user time already.
Result<CpuTimes> parse_cpu_times(std::string_view text) {
  constexpr size_t kColumns = 8, kIdle = 3, kIowait = 4, kSoftirq = 6;
  const auto broken = [] { return fail(ErrorCode::kInternal, "/proc/stat is not what the kernel documents"); };
  if (!text.starts_with("cpu ")) return broken();
  text = text.substr(4, text.find('\n') - 4);
  std::array<double, kColumns> ticks{};
  for (double& column : ticks) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), column);
    if (error != std::errc{}) return broken();
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  CpuTimes out;
  for (const double column : ticks) out.total += column;
  out.idle = ticks[kIdle] + ticks[kIowait];
  out.softirq = ticks[kSoftirq];
  return out;
}

Result<InterfaceCounters> read_interface(const std::string& name) {
  const std::string folder = "/sys/class/net/" + name + "/statistics/";
  InterfaceCounters out;
  for (const char* file : {"rx_packets", "tx_packets"}) {
    MS_TRY(const double packets, read_number(folder + file));
    out.delivered += packets;
  }
  for (const char* file : {"rx_dropped", "tx_dropped"}) {
    MS_TRY(const double packets, read_number(folder + file));
    out.dropped += packets;
  }
  return out;
}

Status read_host(const std::string& figure, const std::string& interface, slo::Sample& sample) {
  if (!interface.empty()) {
    MS_TRY(const InterfaceCounters counters, read_interface(interface));
    if (figure == "drops_rate") {
      sample.value = counters.dropped;
    } else {
      sample.num = counters.dropped;
      sample.den = counters.dropped + counters.delivered;
    }
    return {};
  }
  MS_TRY(const std::string line, first_line("/proc/stat"));
  MS_TRY(const CpuTimes times, parse_cpu_times(line));
  sample.num = figure == "softirq_share" ? times.softirq : times.total - times.idle;
  sample.den = times.total;
  return {};
}

}  // namespace mapshift::update
