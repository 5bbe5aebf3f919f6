// SPDX-License-Identifier: Apache-2.0
#include "cli/render_go.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render_go_parts.h"
#include "cli/table.h"

namespace mapshift::cli {
namespace {

using namespace observe::go;
using observe::Histogram;

// Together with the columns of numbers, and two blanks between any two, within 120.
constexpr size_t kNameWidth = 14, kVersionWidth = 8, kReasonWidth = 17;

// Both kinds of stops together.
Histogram all_stops(const ProcessReport& report) {
  Histogram sum;
  for (const auto& [kind, stops] : report.stw_pause) {
    if (sum.counts.empty()) sum = stops;
    else if (sum.bounds == stops.bounds && sum.counts.size() == stops.counts.size())
      std::ranges::transform(sum.counts, stops.counts, sum.counts.begin(), std::plus<>());
  }
  return sum;
}

std::string most_waited_for(const ProcessReport& report) {
  const GoroutineGroup* most = nullptr;
  for (const GoroutineGroup& group : report.groups)
    if (group.state == "waiting" && (most == nullptr || group.count > most->count)) most = &group;
  if (most == nullptr) return "-";
  const std::string count = fmt::format(" {}", most->count);
  const size_t room = kReasonWidth - std::min(count.size(), kReasonWidth - 1);
  return fit(most->reason.empty() ? "?" : most->reason, room) + count;
}

std::string short_version(const std::string& version) {
  return fit(version.starts_with("go") ? version.substr(2) : version, kVersionWidth);
}

std::string captured_table(const std::vector<const ProcessReport*>& reports) {
  Table table({"PROCESS", "PID", "GO", "GOROUTINES", "GC", "STW P50", "STW P99", "STW MAX", "SCHED P99", "WAITING FOR", "COST"});
  table.align_right({1, 3, 4, 5, 6, 7, 8, 10});
  for (const ProcessReport* report : reports) {
    const Histogram stops = all_stops(*report);
    table.add({fit(report->name, kNameWidth), std::to_string(report->pid), short_version(report->go_version),
               optional_count(report->goroutines), optional_count(report->gc_cycles), optional_seconds(quantile(stops, 0.5)),
               optional_seconds(quantile(stops, 0.99)), optional_seconds(highest(stops)),
               optional_seconds(quantile(report->sched_latency, 0.99)), most_waited_for(*report), percent(report->probing.overhead)});
  }
  return table.text() +
         "\nGC: cycles. STW: stops of the world. SCHED: from runnable to running. All since the process began.\n"
         "WAITING FOR: most frequent wait at the last census, goroutines. COST: CPU time of probes, of the process's own.\n";
}

std::string others_table(const std::vector<const ProcessReport*>& reports) {
  Table table({"NOT CAPTURED", "PID", "GO", "STATE", "REASON"});
  table.align_right({1});
  for (const ProcessReport* report : reports) {
    table.add({fit(report->name, kNameWidth), std::to_string(report->pid), short_version(report->go_version),
               std::string(to_string(report->state)), fit(report->reason.empty() ? "-" : report->reason, 66)});
  }
  return table.text();
}

}  // namespace

std::string render_go_processes(const GoList& list) {
  if (!list.enabled) return fmt::format("No Go processes are captured: {}.\n", fit(list.reason, 88));
  std::vector<const ProcessReport*> captured, others;
  for (const ProcessReport& report : list.processes) (report.state == State::kCaptured ? captured : others).push_back(&report);
  std::string out;
  if (!captured.empty()) out += captured_table(captured);
  else out += others.empty() ? "No Go process runs on this host that go.processes wants.\n" : "No Go process is captured now.\n";
  if (!others.empty()) out += fmt::format("\n{}", others_table(others));
  if (list.dropped > 0) out += fmt::format("\n{} processes were found beyond go.max_processes and left out.\n", list.dropped);
  return out;
}

}  // namespace mapshift::cli
