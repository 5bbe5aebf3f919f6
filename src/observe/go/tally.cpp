// SPDX-License-Identifier: Apache-2.0
#include "observe/go/tally.h"

#include <algorithm>
#include <set>

namespace mapshift::observe::go {
namespace {

// A goroutine that was stopped for its stack to be looked at is made ready without ever having parked.
constexpr std::string_view kPreempted = "preempted";
constexpr const char* kModes[] = {"r", "w", "rw"};
constexpr const char* kOperations[] = {"read", "write"};

uint64_t whole_part(double count) { return static_cast<uint64_t>(count + 1e-6); }

double grown_by(uint64_t now, uint64_t before) { return now > before ? static_cast<double>(now - before) : 0; }

}  // namespace

std::string Tally::name_of(uint16_t reason) const {
  return reason < wait_reasons_.size() && !wait_reasons_[reason].empty() ? wait_reasons_[reason] : "reason " + std::to_string(reason);
}

ms_go_histogram Tally::grown(const GoHistograms& now, GoHistogramKey key) const {
  const auto found = now.find(key);
  if (found == now.end()) return {};
  ms_go_histogram result = found->second;
  const auto before = last_histograms_.find(key);
  if (before == last_histograms_.end()) return result;
  result.sum -= std::min(result.sum, before->second.sum);
  for (size_t i = 0; i < MS_GO_BUCKETS; i++) result.counts[i] -= std::min(result.counts[i], before->second.counts[i]);
  return result;
}

void Tally::add_pair(Estimate& total, const GoHistograms& now, ms_go_histogram_kind timed, ms_go_histogram_kind longer, uint16_t reason,
                     double times, bool whole) {
  const ms_go_histogram unknown = whole ? ms_go_histogram{} : grown(now, {static_cast<uint16_t>(longer), reason});
  total.add(estimate(grown(now, {static_cast<uint16_t>(timed), reason}), unknown), times);
}

void Tally::add(const ms_go_process& counters, const GoHistograms& histograms, double times, bool whole) {
  if (!whole) whole_ = false;
  std::set<uint16_t> reasons;
  for (const auto& [key, value] : histograms) {
    if (key.kind == MS_GO_BLOCK || (key.kind == MS_GO_BLOCK_LONGER && !whole)) reasons.insert(key.reason);
  }
  for (const uint16_t reason : reasons) {
    if (name_of(reason) == kPreempted) continue;
    add_pair(block_[reason], histograms, MS_GO_BLOCK, MS_GO_BLOCK_LONGER, reason, times, whole);
  }
  add_pair(run_queue_, histograms, MS_GO_RUN_QUEUE, MS_GO_RUN_QUEUE_LONGER, 0, times, whole);
  for (uint16_t i = 0; i < MS_GO_IO; i++) {
    add_pair(io_[i], histograms, MS_GO_IO_TIME, MS_GO_IO_LONGER, i, times, whole);
    io_errors_[i] += times * grown_by(counters.io_errors[i], last_.io_errors[i]);
  }
  created_ += times * grown_by(counters.created, last_.created);
  exited_ += times * grown_by(counters.exited, last_.exited);
  for (int i = 0; i < 3; i++) netpoll_[i] += times * grown_by(counters.netpoll[i], last_.netpoll[i]);
  last_ = counters;
  last_histograms_ = histograms;
}

void Tally::fill(ProcessReport& report) const {
  for (const auto& [reason, total] : block_) report.block.insert_or_assign(name_of(reason), rounded(total, whole_));
  report.run_queue = rounded(run_queue_, whole_);
  for (int i = 0; i < 3; i++) report.netpoll_events[kModes[i]] = whole_part(netpoll_[i]);
  for (int i = 0; i < MS_GO_IO; i++) {
    report.io.insert_or_assign(kOperations[i], rounded(io_[i], whole_));
    report.io_errors[kOperations[i]] = whole_part(io_errors_[i]);
  }
  report.created = whole_part(created_);
  report.exited = whole_part(exited_);
}

}  // namespace mapshift::observe::go
