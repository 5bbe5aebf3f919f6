// SPDX-License-Identifier: Apache-2.0
#include "agent/metrics_observer.h"

#include <chrono>

#include "slo/indicator.h"

namespace mapshift::agent {

void MetricsObserver::changed(const update::UpdateRecord& record) {
  // The phase begins: no pass has been counted yet.
  for (const update::MapRecord& map : record.maps) {
    if (record.state == update::State::kLoading && map.policy == "sync") metrics_.start_migration(record.module, map.name);
  }
  if (update::is_final(record.state)) {
    if (!record.comparison.empty()) metrics_.remove_generations(record.module);
  } else {
    for (const update::ComparisonRecord& one : record.comparison) {
      metrics_.set_generation(record.module, one.program, record.from.generation, one.from.events, one.from.run_seconds_avg);
      metrics_.set_generation(record.module, one.program, record.to.generation, one.to.events, one.to.run_seconds_avg);
    }
  }
  metrics_.update_phase(record.module, update::is_final(record.state) ? std::string_view() : update::to_string(record.state));
}

void MetricsObserver::phase_ended(const update::UpdateRecord& /*record*/, const std::string& phase, double seconds) {
  metrics_.phase_finished(phase, seconds);
}

void MetricsObserver::passed(const update::UpdateRecord& record, const std::string& map, const PassReport& report) {
  metrics_.pass_finished(Seconds(report.ended - report.began).count());
  for (const update::MapRecord& entry : record.maps) {
    if (entry.name != map) continue;
    metrics_.set_migration(record.module, map, record.id,
                           {entry.progress, entry.staleness_seconds, entry.passes, entry.added, entry.changed, entry.deleted, entry.conflicts, entry.clamped});
  }
}

void MetricsObserver::verified(const update::UpdateRecord& record, const std::string& map, const VerifyReport& report) {
  const double ratio = report.keys == 0 ? 1.0 : 1.0 - static_cast<double>(report.mismatched) / static_cast<double>(report.keys);
  const double now = Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
  metrics_.set_consistency(record.module, map, report.mismatched, ratio < 0 ? 0 : ratio, now);
}

void MetricsObserver::measured(const update::UpdateRecord& record, const slo::Measurement& measurement) {
  metrics_.set_objective(record.module, measurement.objective, measurement.value, measurement.limit, measurement.outcome == slo::Outcome::kFail);
  metrics_.measured(record.module, measurement.objective, slo::name_of(measurement.outcome));
}

void MetricsObserver::swapped(const update::UpdateRecord& record) {
  metrics_.update_interrupted(record.interruption_seconds);
  metrics_.mixed_window(record.mixed_window_seconds);
  // From here on the new generation is the one that runs: alerts about it must be able to name this update.
  metrics_.set_module(record.module, record.to.generation, record.to.version, record.digest, record.id);
  for (const update::MapRecord& map : record.maps) {
    if (map.policy != "sync") continue;
    metrics_.set_migration(record.module, map.name, record.id,
                           {map.progress, map.staleness_seconds, map.passes, map.added, map.changed, map.deleted, map.conflicts, map.clamped});
  }
}

void MetricsObserver::finished(const update::UpdateRecord& record, double seconds) {
  metrics_.update_finished(record.module, update::to_string(record.state), seconds);
  if (record.state == update::State::kRolledBack) {
    metrics_.rolled_back(record.module, record.trigger == "cli" || record.trigger == "api" ? "operator" : record.trigger);
  }
}

}  // namespace mapshift::agent
