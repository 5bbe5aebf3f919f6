// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "observe/go/report.h"

namespace mapshift::observe::changes {
struct RingReport;
struct Stats;
}

namespace mapshift::metrics {

// What a map holds now.
struct MapUsage {
  std::optional<uint64_t> entries = {};  // none: a kind of map whose elements nobody can count
  uint64_t memory_bytes = 0;
};

// Kernel totals of one loaded program; they start at 0 with each load.
struct ProgramTotals {
  uint32_t id = 0;  // the kernel's program id: tells the generations apart
  double run_seconds = 0;
  uint64_t runs = 0, missed = 0;
};

// Totals of one map since its update began.
struct MigrationTotals {
  double progress = 0;  // 0..1
  double staleness_seconds = 0;
  uint64_t passes = 0, added = 0, changed = 0, deleted = 0, conflicts = 0, clamped = 0;
};

// What the agent shows to Prometheus; names, labels and help are in names.h. Names from outside may hold any byte.
// Thread-safe. A member never fails: beyond the limit on series a value is dropped, and that is counted.
class Metrics {
 public:
  // Sets per-scrape values by calling the members below; runs once in each serialise(), never twice at a time.
  using Collector = std::function<void(Metrics&)>;

  explicit Metrics(std::string_view version);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // An empty function takes it away; when this returns, the former one is not running and will not run again. Not to be
  // called by a collector.
  void set_collector(Collector collector);
  void config_reloaded(bool successful);

  // Replaces what was shown for the module before, and starts its counters at 0.
  void set_module(std::string_view module, uint64_t generation, std::string_view version, std::string_view digest,
                  std::string_view update_id);
  void remove_module(std::string_view module);
  // Of an earlier generation, when it is gone.
  void remove_map(std::string_view module, std::string_view map);
  void remove_program(std::string_view module, std::string_view program);
  void remove_objective(std::string_view module, std::string_view objective);

  void update_phase(std::string_view module, std::string_view phase);  // empty: no update runs
  void phase_finished(std::string_view phase, double seconds);
  void update_finished(std::string_view module, std::string_view result, double seconds);
  void rolled_back(std::string_view module, std::string_view trigger);
  void update_interrupted(double seconds);  // once for each swap, 0 too: the quantile is over all updates
  void mixed_window(double seconds);

  // A map's migration begins: its gauges start again, its counters are there. Never compared: ratio 1, checked at 0.
  void start_migration(std::string_view module, std::string_view map);
  // `update_id` tells the totals of one update from those of the next.
  void set_migration(std::string_view module, std::string_view map, std::string_view update_id, const MigrationTotals& totals);
  void pass_finished(double seconds);
  // `checked_at` is Unix time in seconds.
  void set_consistency(std::string_view module, std::string_view map, uint64_t mismatched, double ratio, double checked_at);
  // All maps of the module, by name: what one that is gone used to hold is no longer told.
  void set_map_usage(std::string_view module, const std::map<std::string, MapUsage>& maps);
  // The counters continue when the next generation's program, another id, starts at 0 again.
  void set_program(std::string_view module, std::string_view program, const ProgramTotals& totals);

  // One generation of two that run side by side; both go with the update.
  void set_generation(std::string_view module, std::string_view program, uint64_t generation, uint64_t events, std::optional<double> run_seconds);
  void remove_generations(std::string_view module);

  void set_objective(std::string_view module, std::string_view objective, std::optional<double> value, std::optional<double> limit,
                     bool breached);
  void measured(std::string_view module, std::string_view objective, std::string_view outcome);

  void alert_received(std::string_view disposition, double count = 1);
  void set_alerting(bool path_proven, bool automation_stopped);

  // What is known of the Go processes by now. A process that is not among them any more loses all of its series. `dropped`: found
  // beyond the limit, ever.
  void set_go_processes(const std::vector<observe::go::ProcessReport>& reports, uint64_t dropped);

  // What is known of the change streams by now. A map that is not among them any more loses its series of this kind.
  void set_changes(const observe::changes::Stats& stats);

  // All of them: by module and map, how many processes hold the former generation's.
  void set_kept_maps(const std::map<std::pair<std::string, std::string>, uint64_t>& holders);

  // Likewise of modules' ring buffers.
  void set_rings(const std::vector<observe::changes::RingReport>& rings);

  void http_request(std::string_view handler, int status, double seconds);

  // The text exposition format, version 0.0.4.
  [[nodiscard]] std::string serialise();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mapshift::metrics
