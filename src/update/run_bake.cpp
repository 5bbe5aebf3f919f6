// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/log.h"
#include "update/run.h"

namespace mapshift::update {
namespace {

constexpr size_t kKeptMeasurements = 1000;  // in the record; the store keeps more
constexpr int kBaselineReadings = 3;
constexpr Nanos kLongestBaselineStep = std::chrono::seconds(2);

bool relative(const slo::Objective& objective) { return objective.max_increase.has_value(); }

}  // namespace

// What the objectives that are relative measure while the old generation runs alone. Costs three of their intervals, and
// nothing when no objective is relative.
void Run::measure_baseline() {
  const auto& objectives = input_.analysis.objectives;
  if (std::none_of(objectives.begin(), objectives.end(), relative)) return;
  const Nanos step = std::min(input_.analysis.interval, kLongestBaselineStep);
  std::map<std::string, std::vector<slo::Sample>> readings;
  for (int n = 0; n < kBaselineReadings; ++n) {
    if (n > 0) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, step, [&] { return order_ != Order::kNone; })) return;
    }
    for (const slo::Objective& objective : objectives) {
      if (relative(objective)) readings[objective.name].push_back(sampler_.read(objective, input_.old_object, input_.plan.from.generation));
    }
  }
  for (const slo::Objective& objective : objectives) {
    if (!relative(objective)) continue;
    if (auto value = slo::baseline_of(objective, readings[objective.name])) baselines_[objective.name] = *value;
  }
}

void Run::measure(slo::AnalysisRun& analysis) {
  for (const size_t index : analysis.due(monotonic_now())) {
    const slo::Sample sample = sampler_.read(analysis.objective(index), input_.new_object, input_.plan.to.generation);
    const auto measurement = analysis.feed(index, sample, now_text());
    if (!measurement) continue;
    publish_record(
        [&](UpdateRecord& record) {
          if (record.measurements.size() >= kKeptMeasurements) record.measurements.erase(record.measurements.begin());
          record.measurements.push_back(*measurement);
        },
        false);
    if (Status stored = journal_.add_measurement(input_.record.id, *measurement); !stored) {
      log::error("cannot store a measurement", {{"update_id", input_.record.id}, {"error", stored.error().message}});
    }
    observer_.measured(record(), *measurement);
  }
}

// Judges the new generation until the bake ends, an objective is breached, or somebody orders. Leaves the outcome in order_.
void Run::bake() {
  if (Status intended = intend(kIntentBake); !intended) {
    log::error("cannot write the intent", {{"update_id", input_.record.id}, {"error", intended.error().message}});
  }
  enter(State::kBaking);
  next_warm_ = monotonic_now() + std::chrono::seconds(1);
  slo::AnalysisRun analysis(input_.analysis, baselines_, monotonic_now());
  for (;;) {
    measure(analysis);
    const Nanos now = monotonic_now();
    const slo::Decision decision = analysis.decide(now);
    if (decision.kind == slo::Decision::Kind::kBreached || decision.kind == slo::Decision::Kind::kPassed) {
      const std::lock_guard lock(mutex_);
      if (order_ != Order::kNone) return;
      const bool breached = decision.kind == slo::Decision::Kind::kBreached;
      order_ = breached ? Order::kRollback : Order::kCommit;
      order_reason_ = breached ? decision.objective + ": " + decision.reason : decision.reason;
      order_trigger_ = breached ? "objective" : "";
      return;
    }
    if (pending_order() != Order::kNone) return;
    keep_warm();
    std::unique_lock lock(mutex_);
    Nanos until = std::min(analysis.next_event(monotonic_now()), next_warm_);
    if (until <= monotonic_now()) until = monotonic_now() + std::chrono::milliseconds(1);
    changed_.wait_for(lock, until - monotonic_now(), [&] { return order_ != Order::kNone; });
    if (order_ != Order::kNone) return;
  }
}

}  // namespace mapshift::update
