// SPDX-License-Identifier: Apache-2.0
#include "metrics/go_series.h"

#include "metrics/label.h"

namespace mapshift::metrics {
namespace {

using observe::Histogram;
using observe::go::ProcessReport;

constexpr std::string_view kOther = "other";

// All of one source have the same buckets; what has others is left out.
void add_to(Histogram& sum, const Histogram& more) {
  if (sum.counts.empty()) {
    sum = more;
    return;
  }
  if (sum.bounds != more.bounds || sum.counts.size() != more.counts.size()) return;
  for (size_t i = 0; i < sum.counts.size(); ++i) sum.counts[i] += more.counts[i];
  sum.sum += more.sum;
}

}  // namespace

std::string GoSeries::admit(Shown& shown, const std::string& reason) {
  const std::string clean = reason.empty() ? "unknown" : label_value(reason);
  if (shown.reasons.contains(clean)) return clean;
  if (shown.reasons.size() >= kMaxReasons || clean == kOther) return std::string(kOther);
  shown.reasons.insert(clean);
  return clean;
}

void GoSeries::show_histograms(Series& series, Shown& shown, const ProcessReport& report) {
  const std::string& name = report.name;
  for (const auto& [kind, pauses] : report.stw_pause) series.set_total(Id::kGoStwPause, {name, kind}, pauses);
  for (const auto& [kind, pauses] : report.stw_stopping) series.set_total(Id::kGoStwStopping, {name, kind}, pauses);
  series.set_total(Id::kGoSchedLatency, {name}, report.sched_latency);
  series.set_total(Id::kGoRunQueue, {name}, report.run_queue);
  for (const auto& [op, calls] : report.io) series.set_total(Id::kGoIo, {name, op}, calls);
  std::map<std::string, Histogram> block;
  for (const auto& [reason, waits] : report.block) add_to(block[admit(shown, reason)], waits);
  for (const auto& [reason, waits] : block) series.set_total(Id::kGoBlock, {name, reason}, waits);
}

void GoSeries::show_counts(Series& series, const ProcessReport& report) {
  const std::string& name = report.name;
  const auto count = [&](Id id, uint64_t total) { series.set_total(id, {name}, static_cast<double>(total)); };
  if (report.gc_cycles) count(Id::kGoGcCycles, *report.gc_cycles);
  if (report.heap_bytes) series.set(Id::kGoHeap, {name}, static_cast<double>(*report.heap_bytes));
  for (const auto& [op, errors] : report.io_errors) series.set_total(Id::kGoIoErrors, {name, op}, static_cast<double>(errors));
  for (const auto& [mode, events] : report.netpoll_events)
    series.set_total(Id::kGoNetpollEvents, {name, mode}, static_cast<double>(events));
  if (report.probing.why_not.empty()) {  // else nobody counts them, and 0 would be a lie
    count(Id::kGoCreated, report.created);
    count(Id::kGoExited, report.exited);
    count(Id::kGoProbeLost, report.probing.lost);
  }
  series.set(Id::kGoProbeOverhead, {name}, report.probing.overhead);
  series.set(Id::kGoProbeDuty, {name}, report.probing.duty);
  if (report.probing.crosscheck) series.set(Id::kGoCrosscheck, {name}, *report.probing.crosscheck);
  else series.remove(Id::kGoCrosscheck, {name});
}

// A group that is empty by now is shown as 0, so that a panel falls and does not stay where it was.
void GoSeries::show_groups(Series& series, Shown& shown, const ProcessReport& report) {
  std::map<std::pair<std::string, std::string>, uint64_t> counts;
  for (const auto& group : shown.groups) counts[group] = 0;
  for (const observe::go::GoroutineGroup& group : report.groups) {
    const std::string reason = group.state == "waiting" ? admit(shown, group.reason) : std::string();
    counts[{label_value(group.state), reason}] += group.count;
  }
  for (const auto& [group, count] : counts) {
    series.set(Id::kGoGoroutines, {report.name, group.first, group.second}, static_cast<double>(count));
    shown.groups.insert(group);
  }
}

void GoSeries::show_process(Series& series, Shown& shown, const ProcessReport& report) {
  if (shown.go_version != report.go_version) series.remove(Id::kGoInfo, {report.name});
  shown.go_version = report.go_version;
  series.set(Id::kGoInfo, {report.name, report.go_version}, 1);
  show_histograms(series, shown, report);
  show_counts(series, report);
  show_groups(series, shown, report);
}

void GoSeries::show(Series& series, const std::vector<ProcessReport>& reports, uint64_t dropped) {
  std::map<std::string_view, size_t> states;
  std::set<std::string> present;
  for (const ProcessReport& report : reports) {
    ++states[observe::go::to_string(report.state)];
    // Names that differ only in what a label cannot hold: the first one is shown.
    if (report.state != observe::go::State::kCaptured || !present.insert(label_value(report.name)).second) continue;
    const auto [known, added] = shown_.try_emplace(label_value(report.name));
    Shown& shown = known->second;
    if (!added && (shown.pid != report.pid || shown.start_ticks != report.start_ticks)) {
      series.remove_labelled("process", report.name);
      shown = {};
    }
    shown.pid = report.pid;
    shown.start_ticks = report.start_ticks;
    show_process(series, shown, report);
  }
  std::erase_if(shown_, [&](const auto& entry) {
    if (present.contains(entry.first)) return false;
    series.remove_labelled("process", entry.first);
    return true;
  });
  for (std::string_view state : kGoStates) series.set(Id::kGoProcesses, {state}, static_cast<double>(states[state]));
  series.set_total(Id::kGoProcessesDropped, {}, static_cast<double>(dropped));
}

}  // namespace mapshift::metrics
