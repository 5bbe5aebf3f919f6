// SPDX-License-Identifier: Apache-2.0
#include "update/sampler_host.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <span>

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

// Numbers between blanks. False: too few, or something else than a number.
bool read_columns(std::string_view text, std::span<double> out) {
  for (double& column : out) {
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), column);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return true;
}

}  // namespace

// proc_stat(5): cpu user nice system idle iowait irq softirq steal guest guest_nice; guest time is in user time already.
Result<CpuTimes> parse_cpu_times(std::string_view text) {
  constexpr size_t kColumns = 8, kIdle = 3, kIowait = 4, kSoftirq = 6;
  const auto broken = [] { return fail(ErrorCode::kInternal, "/proc/stat is not what the kernel documents"); };
  if (!text.starts_with("cpu ")) return broken();
  text = text.substr(4, text.find('\n') - 4);
  std::array<double, kColumns> ticks{};
  if (!read_columns(text, ticks)) return broken();
  CpuTimes out;
  for (const double column : ticks) out.total += column;
  out.idle = ticks[kIdle] + ticks[kIowait];
  out.softirq = ticks[kSoftirq];
  return out;
}

// proc_net(5): a line "name: bytes packets errs drop fifo frame compressed multicast" of what was received, then the same of what was
// sent. Unlike /sys/class/net it shows the network namespace of whoever reads it.
Result<InterfaceCounters> parse_interface(std::string_view text, const std::string& name) {
  constexpr size_t kColumns = 16, kPackets = 1, kDropped = 3, kSent = 8;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (!line.starts_with(name + ":")) continue;
    std::array<double, kColumns> columns{};
    if (!read_columns(line.substr(name.size() + 1), columns)) return fail(ErrorCode::kInternal, "/proc/net/dev is not what the kernel documents");
    return InterfaceCounters{columns[kPackets] + columns[kSent + kPackets], columns[kDropped] + columns[kSent + kDropped]};
  }
  return fail(ErrorCode::kNotFound, "there is no network interface \"" + name + "\" in the agent's network namespace");
}

Result<InterfaceCounters> read_interface(const std::string& name) {
  const std::string path = "/proc/self/net/dev";
  std::ifstream in(path);
  if (!in) return fail_errno(errno, "open " + path);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return parse_interface(text, name);
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
