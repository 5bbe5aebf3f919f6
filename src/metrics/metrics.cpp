// SPDX-License-Identifier: Apache-2.0
#include "metrics/metrics.h"

#include <array>
#include <map>
#include <mutex>

#include "metrics/change_series.h"
#include "metrics/go_series.h"
#include "metrics/process.h"
#include "metrics/series.h"
#include "metrics/totals.h"

namespace mapshift::metrics {

struct Metrics::Impl {
  std::mutex scrape;  // taken before `mutex`; held while the collector runs
  Collector collector;
  std::mutex mutex;
  Series series;
  GoSeries go;
  ChangeSeries changes;
  std::map<std::array<std::string, 4>, Totals> totals;  // by metric name and label values

  // `total` comes from `source`; see Totals.
  void advance(Id id, std::array<std::string_view, 3> labels, std::string_view source, double total) {
    const double increment =
        totals[{std::string(metric(id).name), std::string(labels[0]), std::string(labels[1]), std::string(labels[2])}].advance(
            std::string(source), total);
    if (labels[2].empty()) {
      series.add(id, {labels[0], labels[1]}, increment);
    } else {
      series.add(id, {labels[0], labels[1], labels[2]}, increment);
    }
  }

  // Forgets the totals under a module, or only those under one of its maps or programs.
  void forget(std::string_view module, std::optional<std::string_view> name = {}) {
    std::erase_if(totals, [&](const auto& entry) { return entry.first[1] == module && (!name || entry.first[2] == *name); });
  }

  void set_process() {
    const auto stats = process_stats();
    if (!stats) return;
    series.add(Id::kProcessCpu, {}, totals[{"process_cpu_seconds_total", "", "", ""}].advance("", stats->cpu_seconds));
    series.set(Id::kProcessResident, {}, stats->resident_bytes);
    series.set(Id::kProcessVirtual, {}, stats->virtual_bytes);
    series.set(Id::kProcessOpenFds, {}, stats->open_fds);
    series.set(Id::kProcessMaxFds, {}, stats->max_fds);
    series.set(Id::kProcessStart, {}, stats->start_time);
  }
};

Metrics::Metrics(std::string_view version) : impl_(std::make_unique<Impl>()) {
  Series& series = impl_->series;
  series.set(Id::kBuildInfo, {version}, 1);
  series.set(Id::kConfigReload, {}, 1);
  series.add(Id::kSeriesDropped, {});
  // Rates need the zero before the first one.
  for (Id id : {Id::kUpdateLatency, Id::kMixedWindow, Id::kPassDuration}) series.start_histogram(id, {});
  for (std::string_view phase : kPhases) series.start_histogram(Id::kPhaseDuration, {phase});
  for (std::string_view result : kResults) series.start_histogram(Id::kUpdateDuration, {result});
  impl_->go.show(series, {}, 0);
}

Metrics::~Metrics() = default;

void Metrics::set_collector(Collector collector) {
  const std::lock_guard scraping(impl_->scrape);
  impl_->collector = std::move(collector);
}

void Metrics::config_reloaded(bool successful) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.set(Id::kConfigReload, {}, successful ? 1 : 0);
}

void Metrics::set_module(std::string_view module, uint64_t generation, std::string_view version, std::string_view digest,
                         std::string_view update_id) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->series;
  series.remove(Id::kModuleInfo, {module});
  series.set(Id::kModuleInfo, {module, std::to_string(generation), version, digest, update_id}, 1);
  for (std::string_view result : kResults) series.add(Id::kUpdates, {module, result});
  for (std::string_view trigger : kTriggers) series.add(Id::kRollbacks, {module, trigger});
  for (std::string_view phase : kPhases) series.touch(Id::kUpdatePhase, {module, phase});
}

void Metrics::remove_module(std::string_view module) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.remove_module(module);
  impl_->forget(module);
}

void Metrics::remove_map(std::string_view module, std::string_view map) {
  const std::lock_guard lock(impl_->mutex);
  for (const Metric& metric : kMetrics)
    if (metric.label_names[1] == "map") impl_->series.remove(metric.id, {module, map});
  impl_->forget(module, map);
}

void Metrics::remove_program(std::string_view module, std::string_view program) {
  const std::lock_guard lock(impl_->mutex);
  for (Id id : {Id::kProgramRunSeconds, Id::kProgramRuns, Id::kProgramMissed, Id::kGenerationEvents, Id::kGenerationRunTime}) impl_->series.remove(id, {module, program});
  impl_->forget(module, program);
}

void Metrics::remove_objective(std::string_view module, std::string_view objective) {
  const std::lock_guard lock(impl_->mutex);
  for (Id id : {Id::kObjectiveValue, Id::kObjectiveLimit, Id::kObjectiveBreached, Id::kMeasurements})
    impl_->series.remove(id, {module, objective});
}

void Metrics::update_phase(std::string_view module, std::string_view phase) {
  const std::lock_guard lock(impl_->mutex);
  for (std::string_view known : kPhases) impl_->series.set(Id::kUpdatePhase, {module, known}, known == phase ? 1 : 0);
}

void Metrics::phase_finished(std::string_view phase, double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.observe(Id::kPhaseDuration, {phase}, seconds);
}

void Metrics::update_finished(std::string_view module, std::string_view result, double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.add(Id::kUpdates, {module, result}, 1);
  impl_->series.observe(Id::kUpdateDuration, {result}, seconds);
}

void Metrics::rolled_back(std::string_view module, std::string_view trigger) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.add(Id::kRollbacks, {module, trigger}, 1);
}

void Metrics::update_interrupted(double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.observe(Id::kUpdateLatency, {}, seconds);
}

void Metrics::mixed_window(double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.observe(Id::kMixedWindow, {}, seconds);
}

void Metrics::set_migration(std::string_view module, std::string_view map, std::string_view update_id,
                            const MigrationTotals& totals) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.set(Id::kMigrationProgress, {module, map}, totals.progress);
  impl_->series.set(Id::kMigrationStaleness, {module, map}, totals.staleness_seconds);
  const std::array<uint64_t, kKeyOps.size()> keys = {totals.added, totals.changed, totals.deleted, totals.conflicts, totals.clamped};
  for (size_t i = 0; i < keys.size(); ++i)
    impl_->advance(Id::kMigrationKeys, {module, map, kKeyOps[i]}, update_id, static_cast<double>(keys[i]));
  impl_->advance(Id::kMigrationPasses, {module, map, ""}, update_id, static_cast<double>(totals.passes));
}

void Metrics::start_migration(std::string_view module, std::string_view map) {
  const std::lock_guard lock(impl_->mutex);
  Series& series = impl_->series;
  for (Id id : {Id::kMigrationProgress, Id::kMigrationStaleness, Id::kMismatchedKeys, Id::kConsistencyCheck}) series.set(id, {module, map}, 0);
  series.set(Id::kConsistencyRatio, {module, map}, 1);
  for (std::string_view op : kKeyOps) series.add(Id::kMigrationKeys, {module, map, op});
  series.add(Id::kMigrationPasses, {module, map});
}

void Metrics::pass_finished(double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.observe(Id::kPassDuration, {}, seconds);
}

void Metrics::set_consistency(std::string_view module, std::string_view map, uint64_t mismatched, double ratio, double checked_at) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.set(Id::kMismatchedKeys, {module, map}, static_cast<double>(mismatched));
  impl_->series.set(Id::kConsistencyRatio, {module, map}, ratio);
  impl_->series.set(Id::kConsistencyCheck, {module, map}, checked_at);
}

void Metrics::set_map_usage(std::string_view module, const std::map<std::string, MapUsage>& maps) {
  const std::lock_guard lock(impl_->mutex);
  for (const Id id : {Id::kMapEntries, Id::kMapMemory}) impl_->series.remove(id, {module});
  for (const auto& [map, usage] : maps) {
    if (usage.entries) impl_->series.set(Id::kMapEntries, {module, map}, static_cast<double>(*usage.entries));
    impl_->series.set(Id::kMapMemory, {module, map}, static_cast<double>(usage.memory_bytes));
  }
}

void Metrics::set_kept_maps(const std::map<std::pair<std::string, std::string>, uint64_t>& holders) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.remove(Id::kKeptMapHolders, {});
  for (const auto& [name, count] : holders) impl_->series.set(Id::kKeptMapHolders, {name.first, name.second}, static_cast<double>(count));
}

void Metrics::set_program(std::string_view module, std::string_view program, const ProgramTotals& totals) {
  const std::lock_guard lock(impl_->mutex);
  const std::string source = std::to_string(totals.id);
  impl_->advance(Id::kProgramRunSeconds, {module, program, ""}, source, totals.run_seconds);
  impl_->advance(Id::kProgramRuns, {module, program, ""}, source, static_cast<double>(totals.runs));
  impl_->advance(Id::kProgramMissed, {module, program, ""}, source, static_cast<double>(totals.missed));
}

void Metrics::set_generation(std::string_view module, std::string_view program, uint64_t generation, uint64_t events,
                             std::optional<double> run_seconds) {
  const std::lock_guard lock(impl_->mutex);
  const std::string number = std::to_string(generation);
  impl_->series.set_total(Id::kGenerationEvents, {module, program, number}, static_cast<double>(events));
  if (run_seconds) impl_->series.set(Id::kGenerationRunTime, {module, program, number}, *run_seconds);
}

void Metrics::remove_generations(std::string_view module) {
  const std::lock_guard lock(impl_->mutex);
  for (Id id : {Id::kGenerationEvents, Id::kGenerationRunTime}) impl_->series.remove(id, {module});
}

void Metrics::set_objective(std::string_view module, std::string_view objective, std::optional<double> value,
                            std::optional<double> limit, bool breached) {
  const std::lock_guard lock(impl_->mutex);
  if (value) impl_->series.set(Id::kObjectiveValue, {module, objective}, *value);
  if (limit) impl_->series.set(Id::kObjectiveLimit, {module, objective}, *limit);
  impl_->series.set(Id::kObjectiveBreached, {module, objective}, breached ? 1 : 0);
  for (std::string_view outcome : kOutcomes) impl_->series.add(Id::kMeasurements, {module, objective, outcome});
}

void Metrics::measured(std::string_view module, std::string_view objective, std::string_view outcome) {
  const std::lock_guard lock(impl_->mutex);
  for (std::string_view known : kOutcomes) impl_->series.add(Id::kMeasurements, {module, objective, known});
  impl_->series.add(Id::kMeasurements, {module, objective, outcome}, 1);
}

void Metrics::alert_received(std::string_view disposition, double count) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.add(Id::kAlertsReceived, {disposition}, count);
}

void Metrics::set_alerting(bool path_proven, bool automation_stopped) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.set(Id::kAlertPathProven, {}, path_proven ? 1 : 0);
  impl_->series.set(Id::kAutomationStopped, {}, automation_stopped ? 1 : 0);
}

void Metrics::set_changes(const observe::changes::Stats& stats) {
  const std::lock_guard lock(impl_->mutex);
  impl_->changes.show(impl_->series, stats);
}

void Metrics::set_rings(const std::vector<observe::changes::RingReport>& rings) {
  const std::lock_guard lock(impl_->mutex);
  impl_->changes.show_rings(impl_->series, rings);
}

void Metrics::set_go_processes(const std::vector<observe::go::ProcessReport>& reports, uint64_t dropped) {
  const std::lock_guard lock(impl_->mutex);
  impl_->go.show(impl_->series, reports, dropped);
}

void Metrics::http_request(std::string_view handler, int status, double seconds) {
  const std::lock_guard lock(impl_->mutex);
  impl_->series.add(Id::kHttpRequests, {handler, std::to_string(status)}, 1);
  impl_->series.observe(Id::kHttpDuration, {handler}, seconds);
}

std::string Metrics::serialise() {
  const std::lock_guard scraping(impl_->scrape);
  if (impl_->collector) impl_->collector(*this);
  const std::lock_guard lock(impl_->mutex);
  impl_->set_process();
  return impl_->series.serialise();
}

}  // namespace mapshift::metrics
