// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "kernel/instance_name.h"
#include "update/run.h"

namespace mapshift::update {
namespace {

constexpr size_t kKeptMeasurements = 1000;  // in the record; the store keeps more
constexpr Nanos kStoreInterval = std::chrono::milliseconds(200);  // each time waits for the disk
constexpr int kBaselineReadings = 5;
constexpr Nanos kShortestBaseline = std::chrono::seconds(1);
constexpr Nanos kLongestBaseline = std::chrono::seconds(4);  // unless the manifest asks for more
constexpr Nanos kCompareInterval = std::chrono::seconds(1);
constexpr int kCompareRest = 20;  // times what a comparison took

bool relative(const slo::Objective& objective) { return objective.max_increase.has_value(); }

Nanos baseline_time(const slo::Analysis& analysis) {
  if (analysis.baseline > Nanos(0)) return analysis.baseline;
  return std::clamp(2 * analysis.interval, kShortestBaseline, kLongestBaseline);
}

}  // namespace

// One reading of each relative objective. False: somebody ordered the end.
bool Run::read_baselines(std::map<std::string, std::vector<slo::Sample>>& readings) {
  for (const slo::Objective& objective : input_.analysis.objectives) {
    if (!relative(objective)) continue;
    readings[objective.name].push_back(sampler_.read(objective, input_.old_object, input_.plan.from.generation));
    if (pending_order() != Order::kNone) return false;  // a neighbour may have let us wait
  }
  return true;
}

// What the objectives that are relative measure while the old generation runs alone. Costs the baseline's time, and
// nothing when no objective is relative or nothing will be judged.
void Run::measure_baseline() {
  const auto& objectives = input_.analysis.objectives;
  if (input_.analysis.bake == Nanos(0) || std::none_of(objectives.begin(), objectives.end(), relative)) return;
  const Nanos step = baseline_time(input_.analysis) / (kBaselineReadings - 1);
  std::map<std::string, std::vector<slo::Sample>> readings;
  for (int n = 0; n < kBaselineReadings; ++n) {
    if (n > 0) {
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, step, [&] { return order_ != Order::kNone; })) return;
    }
    if (!read_baselines(readings)) return;
  }
  publish_record(
      [&](UpdateRecord& record) {
        for (const slo::Objective& objective : objectives) {
          if (!relative(objective)) continue;
          if (auto value = slo::baseline_of(objective, readings[objective.name])) {
            record.baselines[objective.name] = *value;
            continue;
          }
          const auto& last = readings[objective.name].back();
          record.warnings.push_back({"no-baseline", "analysis.objectives." + objective.name,
                                     "there was nothing to measure before the swap (" + (last.error.empty() ? "no data" : last.error) +
                                         "): the objective cannot be judged, and the update will be held at the end of its bake"});
        }
      },
      false);
}

// What the indicator `migration` shows; of maps that need no synchronisation nothing can go wrong.
Result<double> Run::migration(const slo::Objective& objective) {
  double value = 0;
  for (Pair& pair : pairs_) {
    if (!objective.map.empty() && objective.map != pair.plan->name && objective.map != base_name(pair.plan->name)) continue;
    if (objective.value == "mismatches") MS_CHECK(compare(pair));
    if (objective.value == "stall") {
      const Nanos now = monotonic_now();
      value = std::max(value, Seconds(now - pair.failing_since.value_or(now)).count());
      continue;
    }
    const std::lock_guard lock(mutex_);
    const MapRecord& map = record_.maps.at(pair.record);
    const uint64_t count = objective.value == "conflicts" ? map.conflicts : objective.value == "unsynced" ? map.unsynced : map.mismatched;
    value += static_cast<double>(count);
  }
  return value;
}

// Counts afresh what differs, unless that was done a moment ago: it costs two sweeps over the map.
Status Run::compare(Pair& pair) {
  const Nanos began = monotonic_now();
  if (began < pair.next_compare) return {};
  MS_TRY([[maybe_unused]] const PassReport passed, pass(pair, live_, true));
  MS_TRY(const VerifyReport report, differing(pair));
  const Nanos cost = monotonic_now() - began;
  pair.next_compare = began + std::max(kCompareInterval, cost * kCompareRest);
  publish_record([&](UpdateRecord& record) { record.maps.at(pair.record).mismatched = report.mismatched; }, false);
  observer_.verified(record(), pair.plan->name, report);
  return {};
}

void Run::judge(slo::AnalysisRun& analysis, size_t index, const slo::Sample& sample) {
  const auto measurement = analysis.feed(index, sample, now_text());
  if (!measurement) return;
  if (analysis.decide(sample.at).kind == slo::Decision::Kind::kBreached) {
    urgent_ = true;
    const std::lock_guard lock(mutex_);
    if (cause_at_ == Nanos(0)) cause_at_ = sample.at;
  }
  publish_record(
      [&](UpdateRecord& record) {
        if (record.measurements.size() >= kKeptMeasurements) record.measurements.erase(record.measurements.begin());
        record.measurements.push_back(*measurement);
      },
      false);
  unstored_.push_back(*measurement);
  observer_.measured(record(), *measurement);
}

void Run::store_measurements() {
  if (unstored_.empty()) return;
  next_store_ = monotonic_now() + kStoreInterval;
  if (Status stored = journal_.add_measurements(input_.record.id, std::exchange(unstored_, {})); !stored) {
    log::error("cannot store measurements", {{"update_id", input_.record.id}, {"error", stored.error().message}});
  }
}

// The old generation is at its hooks, or will not be: time for what had to wait.
void Run::catch_up_journal() {
  store_measurements();
  if (!urgent_) return;
  urgent_ = false;
  publish_record([](UpdateRecord&) {}, true);
}

// Takes what is due, until the first breach: nothing may stand between it and the rollback.
void Run::measure(slo::AnalysisRun& analysis) {
  const auto breached = [&] { return analysis.decide(monotonic_now()).kind == slo::Decision::Kind::kBreached; };
  if (worker_) {
    for (const auto& [index, sample] : worker_->take()) {
      judge(analysis, index, sample);
      if (breached()) return;
    }
  }
  for (const size_t index : analysis.due(monotonic_now())) {
    const slo::Objective& objective = analysis.objective(index);
    if (Sampler::may_block(objective)) {
      analysis.asked(index);
      worker_->ask(index, objective);
      continue;
    }
    judge(analysis, index, sampler_.read(objective, input_.new_object, input_.plan.to.generation));
    if (breached()) return;
  }
}

// Turns a decision of the analysis into an order, unless somebody was faster. An update that is held says why.
bool Run::decided(const slo::AnalysisRun& analysis) {
  const slo::Decision decision = analysis.decide(monotonic_now());
  if (decision.kind == slo::Decision::Kind::kHeld) {
    const std::string held =
        "held at the end of its bake, until it is proven or somebody decides: " + decision.objective + ": " + decision.reason;
    if (held != record().reason) publish_record([&](UpdateRecord& record) { record.reason = held; }, true);
  }
  const bool breached = decision.kind == slo::Decision::Kind::kBreached;
  const std::lock_guard lock(mutex_);
  if (order_ != Order::kNone) return true;
  if (!breached && decision.kind != slo::Decision::Kind::kPassed) return false;
  order_ = breached ? Order::kRollback : Order::kCommit;
  order_reason_ = breached ? decision.objective + ": " + decision.reason : decision.reason;
  order_trigger_ = breached ? "objective" : "";
  return true;
}

// Readings that others may let wait are taken on a thread of their own; those that were asked for before are forgotten.
void Run::start_worker() {
  const auto& objectives = input_.analysis.objectives;
  if (std::none_of(objectives.begin(), objectives.end(), Sampler::may_block)) return;
  worker_.reset();
  worker_ = std::make_unique<SamplerWorker>(
      [this](const slo::Objective& objective) { return sampler_.read(objective, input_.new_object, input_.plan.to.generation); },
      [this] {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
      });
}

// Judges the new generation until the bake ends, an objective is breached, or somebody orders. Leaves the outcome in order_.
void Run::bake() {
  if (Status intended = intend(kIntentBake); !intended) {
    log::error("cannot write the intent", {{"update_id", input_.record.id}, {"error", intended.error().message}});
  }
  if (record().state != State::kBaking) enter(State::kBaking);
  start_worker();
  next_warm_ = monotonic_now() + std::chrono::seconds(1);
  slo::AnalysisRun analysis(input_.analysis, record().baselines, monotonic_now());
  for (;;) {
    measure(analysis);
    if (decided(analysis)) break;
    if (monotonic_now() >= next_store_) store_measurements();
    keep_warm();
    Nanos until = std::min(analysis.next_event(monotonic_now()), next_warm_);
    std::unique_lock lock(mutex_);
    const Nanos now = monotonic_now();
    if (until <= now) until = now + std::chrono::milliseconds(1);
    changed_.wait_for(lock, until - now, [&] { return order_ != Order::kNone || (worker_ && worker_->ready()); });
  }
  const Order order = pending_order();
  if (order == Order::kRollback || order == Order::kAbort) urgent_ = true;
  else catch_up_journal();  // somebody was faster than the breach
}

}  // namespace mapshift::update
