// SPDX-License-Identifier: Apache-2.0
#include "update/go_readings.h"

#include <fnmatch.h>

namespace mapshift::update {
namespace {

using observe::Histogram;
using observe::go::ProcessReport;

constexpr double kQuantile = 0.99;

bool matches(const slo::Objective& objective, const ProcessReport& report) {
  return report.state == observe::go::State::kCaptured && ::fnmatch(objective.process.c_str(), report.name.c_str(), 0) == 0;
}

// Both kinds of stops together: a goroutine that waits does not care why.
Histogram all_pauses(const ProcessReport& report) {
  Histogram sum;
  for (const auto& [kind, pauses] : report.stw_pause) {
    if (sum.counts.size() != pauses.counts.size() || sum.bounds != pauses.bounds) {
      if (sum.counts.empty()) sum = pauses;
      continue;
    }
    for (size_t i = 0; i < sum.counts.size(); ++i) sum.counts[i] += pauses.counts[i];
  }
  return sum;
}

// Nothing was ever counted: no buckets. A reason that nobody has waited for yet has none either.
Histogram counted(const slo::Objective& objective, const ProcessReport& report) {
  if (objective.value == "stw_p99") return all_pauses(report);
  if (objective.value == "sched_p99") return report.sched_latency;
  const auto found = report.block.find(objective.reason);
  return found == report.block.end() ? Histogram() : found->second;
}

// The worst of those with enough observations; where none has enough, the worst of all, which is then inconclusive.
void keep_worst(GoReading& kept, double fewest, double value, double samples) {
  const bool enough = samples >= fewest, kept_enough = kept.value && kept.samples >= fewest;
  if (kept.value && (enough == kept_enough ? value <= *kept.value : kept_enough)) return;
  kept.value = value;
  kept.samples = samples;
}

}  // namespace

GoReading GoReadings::read(const slo::Objective& objective, uint64_t generation, const std::vector<ProcessReport>& reports) {
  GoReading reading;
  const std::lock_guard lock(mutex_);
  const auto key = std::make_pair(objective.name, generation);
  std::map<Process, Histogram> now;
  for (const ProcessReport& report : reports) {
    if (!matches(objective, report)) continue;
    if (objective.value == "goroutines") {
      if (report.goroutines) keep_worst(reading, objective.min_samples, static_cast<double>(*report.goroutines), 1);
      continue;
    }
    const Process process(report.pid, report.start_ticks);
    Histogram total = counted(objective, report);
    const auto before = before_[key].find(process);
    if (before == before_[key].end()) {
      reading.opens = true;
    } else if (const auto added = observe::since(total, before->second)) {
      const auto value = observe::quantile(*added, kQuantile);
      if (value) keep_worst(reading, objective.min_samples, *value, static_cast<double>(added->total()));
    }
    now.emplace(process, std::move(total));
  }
  before_[key] = std::move(now);
  if (reading.value) reading.opens = false;
  return reading;
}

}  // namespace mapshift::update
