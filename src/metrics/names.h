// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace mapshift::metrics {

enum class Kind : uint8_t { kGauge, kCounter, kHistogram };

enum class Id : uint8_t {
  kBuildInfo, kModuleInfo, kConfigReload,
  kUpdates, kRollbacks, kUpdatePhase, kPhaseDuration, kUpdateDuration, kUpdateLatency, kMixedWindow,
  kMigrationProgress, kMigrationStaleness, kMigrationKeys, kMigrationPasses, kPassDuration,
  kMismatchedKeys, kConsistencyRatio, kConsistencyCheck,
  kMapEntries, kMapMemory, kKeptMapHolders,
  kMapChanges, kMapChangesLost, kMapChangeLatency, kMapChangeSubscribers, kMapChangeResyncs,
  kRingRecords, kRingMalformed, kRingBacklog, kRingSize,
  kProgramRunSeconds, kProgramRuns, kProgramMissed,
  kObjectiveValue, kObjectiveLimit, kObjectiveBreached, kMeasurements,
  kAlertsReceived, kAlertPathProven, kAutomationStopped,
  kGoProcesses, kGoProcessesDropped, kGoInfo,
  kGoStwPause, kGoStwStopping, kGoSchedLatency, kGoBlock, kGoRunQueue, kGoIo, kGoIoErrors,
  kGoGcCycles, kGoNetpollEvents, kGoCreated, kGoExited, kGoGoroutines, kGoHeap,
  kGoProbeOverhead, kGoProbeDuty, kGoCrosscheck, kGoProbeLost,
  kHttpRequests, kHttpDuration,
  kSeriesDropped,
  kProcessCpu, kProcessResident, kProcessVirtual, kProcessOpenFds, kProcessMaxFds, kProcessStart,
};

// Upper bounds in seconds.
inline constexpr auto kPhaseBuckets =
    std::to_array<double>({0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 3600});
// An interruption is nothing, or a few microseconds; the target of the SLI update_latency_p9999 must be a bound.
inline constexpr auto kLatencyBuckets =
    std::to_array<double>({0.000001, 0.00001, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5});
inline constexpr auto kHttpBuckets =
    std::to_array<double>({0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60});

// The closed sets of label values: a series for each exists, at 0, as soon as its module or map does.
inline constexpr auto kResults = std::to_array<std::string_view>({"committed", "rolled_back", "failed", "aborted", "stuck"});
inline constexpr auto kTriggers = std::to_array<std::string_view>({"objective", "alert", "operator", "stall", "recovery"});
inline constexpr auto kPhases =
    std::to_array<std::string_view>({"planning", "loading", "syncing", "swapping", "baking", "rolling_back"});
inline constexpr auto kKeyOps = std::to_array<std::string_view>({"added", "changed", "deleted", "conflict", "clamped"});
inline constexpr auto kOutcomes = std::to_array<std::string_view>({"pass", "fail", "inconclusive", "error"});

inline constexpr auto kGoStates = std::to_array<std::string_view>({"captured", "unsupported", "denied", "over_limit"});

inline constexpr size_t kMaxLabels = 5;

struct Metric {
  Id id;
  std::string_view name;
  Kind kind;
  std::string_view help;
  std::array<std::string_view, kMaxLabels> label_names = {};  // unused ones are empty, and last
  std::span<const double> buckets = {};  // of a histogram; empty: its source has its own, and counts by itself

  [[nodiscard]] constexpr std::span<const std::string_view> labels() const {
    size_t used = 0;
    while (used < kMaxLabels && !label_names[used].empty()) ++used;
    return {label_names.data(), used};
  }
};

// Every metric of the agent, in the order of Id. Adding one is a line here, and an Id.
inline constexpr auto kMetrics = std::to_array<Metric>({
    {Id::kBuildInfo, "mapshift_build_info", Kind::kGauge, "Always 1; the label names the running version.", {"version"}},
    {Id::kModuleInfo, "mapshift_module_info", Kind::kGauge, "Always 1; the labels name the active generation of each module.",
     {"module", "generation", "version", "digest", "update_id"}},
    {Id::kConfigReload, "mapshift_config_last_reload_successful", Kind::kGauge,
     "1 when the last attempt to read the configuration was successful, else 0."},
    {Id::kUpdates, "mapshift_updates_total", Kind::kCounter, "Updates that ended, by how they ended.", {"module", "result"}},
    {Id::kRollbacks, "mapshift_rollbacks_total", Kind::kCounter, "Rollbacks, by who or what asked for them.", {"module", "trigger"}},
    {Id::kUpdatePhase, "mapshift_update_phase", Kind::kGauge, "1 for the phase that the module's update is in, 0 for the others.",
     {"module", "phase"}},
    {Id::kPhaseDuration, "mapshift_update_phase_duration_seconds", Kind::kHistogram, "Time that updates spent in each phase.",
     {"phase"}, kPhaseBuckets},
    {Id::kUpdateDuration, "mapshift_update_duration_seconds", Kind::kHistogram, "Time from an update's start to its end.",
     {"result"}, kPhaseBuckets},
    {Id::kUpdateLatency, "mapshift_update_latency_seconds", Kind::kHistogram,
     "Interruption that an update caused: time in which a hook ran no generation.", {}, kLatencyBuckets},
    {Id::kMixedWindow, "mapshift_update_mixed_window_seconds", Kind::kHistogram,
     "Time in which some hooks ran the old generation and some the new one.", {}, kLatencyBuckets},
    {Id::kMigrationProgress, "mapshift_migration_progress_ratio", Kind::kGauge, "Share of the map's keys that were migrated, 0 to 1.",
     {"module", "map"}},
    {Id::kMigrationStaleness, "mapshift_migration_staleness_seconds", Kind::kGauge,
     "How far the other generation's map was behind at the last pass.", {"module", "map"}},
    {Id::kMigrationKeys, "mapshift_migration_keys_total", Kind::kCounter, "Keys that the sync engine handled, by what it did.",
     {"module", "map", "op"}},
    {Id::kMigrationPasses, "mapshift_migration_passes_total", Kind::kCounter, "Sweeps of the sync engine over the map.",
     {"module", "map"}},
    {Id::kPassDuration, "mapshift_migration_pass_duration_seconds", Kind::kHistogram, "Time of one sweep over one map.", {},
     kPhaseBuckets},
    {Id::kMismatchedKeys, "mapshift_consistency_mismatched_keys", Kind::kGauge,
     "Keys whose values differed between the generations at the last check.", {"module", "map"}},
    {Id::kConsistencyRatio, "mapshift_consistency_ratio", Kind::kGauge, "Share of keys that agreed at the last check, 0 to 1.",
     {"module", "map"}},
    {Id::kConsistencyCheck, "mapshift_consistency_last_check_timestamp_seconds", Kind::kGauge,
     "Unix time of the last comparison of the two generations.", {"module", "map"}},
    {Id::kMapEntries, "mapshift_map_entries", Kind::kGauge, "Entries in the active generation's map.", {"module", "map"}},
    {Id::kMapMemory, "mapshift_map_memory_bytes", Kind::kGauge, "Memory that the kernel accounts to the map.", {"module", "map"}},
    {Id::kKeptMapHolders, "mapshift_kept_map_holders", Kind::kGauge,
     "Processes that hold the former generation's map, which is kept in step for them; absent when none is kept.", {"module", "map"}},
    {Id::kMapChanges, "mapshift_map_changes_total", Kind::kCounter, "Changes of the map's keys that were seen.",
     {"module", "map", "op", "source"}},
    {Id::kMapChangesLost, "mapshift_map_changes_lost_total", Kind::kCounter,
     "Changes of the map's keys that nobody was told of one by one.", {"module", "map", "reason"}},
    {Id::kMapChangeLatency, "mapshift_map_change_latency_seconds", Kind::kHistogram,
     "Time from a change of a map to its arrival at the agent's subscribers.", {"source"}},
    {Id::kMapChangeSubscribers, "mapshift_map_change_subscribers", Kind::kGauge, "Clients that watch changes of maps now."},
    {Id::kMapChangeResyncs, "mapshift_map_change_resyncs_total", Kind::kCounter,
     "Times that a client was told to read the map again."},
    {Id::kRingRecords, "mapshift_ring_records_total", Kind::kCounter, "Records read from the module's own ring buffer.", {"module", "map"}},
    {Id::kRingMalformed, "mapshift_ring_malformed_total", Kind::kCounter, "Records that were not of the declared type.", {"module", "map"}},
    {Id::kRingBacklog, "mapshift_ring_backlog_bytes", Kind::kGauge, "Bytes that lie in the ring buffer unread.", {"module", "map"}},
    {Id::kRingSize, "mapshift_ring_size_bytes", Kind::kGauge, "Size of the ring buffer; a program finds no room beyond it.", {"module", "map"}},
    {Id::kProgramRunSeconds, "mapshift_program_run_seconds_total", Kind::kCounter,
     "Time that the kernel spent in the program, all generations together.", {"module", "program"}},
    {Id::kProgramRuns, "mapshift_program_runs_total", Kind::kCounter, "Runs of the program, all generations together.",
     {"module", "program"}},
    {Id::kProgramMissed, "mapshift_program_missed_total", Kind::kCounter,
     "Runs that the kernel skipped because the program was already running on that CPU.", {"module", "program"}},
    {Id::kObjectiveValue, "mapshift_objective_value", Kind::kGauge, "Last value measured for the objective.", {"module", "objective"}},
    {Id::kObjectiveLimit, "mapshift_objective_limit", Kind::kGauge, "Limit that the objective's value is held against.",
     {"module", "objective"}},
    {Id::kObjectiveBreached, "mapshift_objective_breached", Kind::kGauge, "1 while the objective is breached, else 0.",
     {"module", "objective"}},
    {Id::kMeasurements, "mapshift_analysis_measurements_total", Kind::kCounter, "Measurements of objectives, by outcome.",
     {"module", "objective", "outcome"}},
    {Id::kAlertsReceived, "mapshift_alerts_received_total", Kind::kCounter,
     "Alerts delivered by Alertmanager or found there, by what became of them.", {"disposition"}},
    {Id::kAlertPathProven, "mapshift_alert_path_proven", Kind::kGauge,
     "1 while the watchdog alert arrives as it should, 0 when no alert would reach the agent."},
    {Id::kAutomationStopped, "mapshift_automation_stopped", Kind::kGauge,
     "1 while so many automatic rollbacks within an hour hold every further one that an alert asks for, else 0."},
    {Id::kGoProcesses, "mapshift_go_processes", Kind::kGauge, "Go processes that were found, by what becomes of them.", {"state"}},
    {Id::kGoProcessesDropped, "mapshift_go_processes_dropped_total", Kind::kCounter,
     "Go processes that were found beyond the limit on their number."},
    {Id::kGoInfo, "mapshift_go_info", Kind::kGauge, "Always 1; the labels name a captured process and the Go that built it.",
     {"process", "go_version"}},
    {Id::kGoStwPause, "mapshift_go_stw_pause_seconds", Kind::kHistogram,
     "Stops of the world from the request to the restart, since the process began, as its runtime counts them.", {"process", "kind"}},
    {Id::kGoStwStopping, "mapshift_go_stw_stopping_seconds", Kind::kHistogram,
     "Part of each stop of the world until all goroutines stood still, as the runtime counts it.", {"process", "kind"}},
    {Id::kGoSchedLatency, "mapshift_go_sched_latency_seconds", Kind::kHistogram,
     "Time that goroutines were runnable before they ran, since the process began, as its runtime samples it.", {"process"}},
    {Id::kGoBlock, "mapshift_go_block_seconds", Kind::kHistogram,
     "Time that goroutines waited, by the runtime's reason; scaled up from the windows in which it was probed.", {"process", "reason"}},
    {Id::kGoRunQueue, "mapshift_go_run_queue_seconds", Kind::kHistogram,
     "Time from runnable to running; scaled up from the windows in which it was probed.", {"process"}},
    {Id::kGoIo, "mapshift_go_io_seconds", Kind::kHistogram,
     "Time of reads and writes of network connections and files; scaled up from the windows in which it was probed.",
     {"process", "op"}},
    {Id::kGoIoErrors, "mapshift_go_io_errors_total", Kind::kCounter, "Reads and writes that returned an error, scaled up likewise.",
     {"process", "op"}},
    {Id::kGoGcCycles, "mapshift_go_gc_cycles_total", Kind::kCounter, "Cycles of the garbage collector.", {"process"}},
    {Id::kGoNetpollEvents, "mapshift_go_netpoll_events_total", Kind::kCounter,
     "Descriptors that the network poller found ready, scaled up from the windows.", {"process", "mode"}},
    {Id::kGoCreated, "mapshift_go_goroutines_created_total", Kind::kCounter,
     "Goroutines that began, scaled up from the windows in which it was probed.", {"process"}},
    {Id::kGoExited, "mapshift_go_goroutines_exited_total", Kind::kCounter,
     "Goroutines that ended, scaled up from the windows in which it was probed.", {"process"}},
    {Id::kGoGoroutines, "mapshift_go_goroutines", Kind::kGauge,
     "Goroutines at the last census, by state and, of those that wait, by the runtime's reason.", {"process", "state", "reason"}},
    {Id::kGoHeap, "mapshift_go_heap_bytes", Kind::kGauge, "Live heap of the process, as its runtime counts it.", {"process"}},
    {Id::kGoProbeOverhead, "mapshift_go_probe_overhead_ratio", Kind::kGauge,
     "CPU time that the probes cost the process, over the CPU time of the process.", {"process"}},
    {Id::kGoProbeDuty, "mapshift_go_probe_duty_ratio", Kind::kGauge, "Share of time in which the hot probes were attached.",
     {"process"}},
    {Id::kGoCrosscheck, "mapshift_go_crosscheck_ratio", Kind::kGauge,
     "Transitions that the probes saw over those that the runtime recorded in the same windows: 1 when both agree.", {"process"}},
    {Id::kGoProbeLost, "mapshift_go_probe_lost_events_total", Kind::kCounter, "Events of the probes that found no room.", {"process"}},
    {Id::kHttpRequests, "mapshift_http_requests_total", Kind::kCounter, "Requests answered, by route and status.", {"handler", "code"}},
    {Id::kHttpDuration, "mapshift_http_request_duration_seconds", Kind::kHistogram,
     "Time to answer a request, waiting for news included.", {"handler"}, kHttpBuckets},
    {Id::kSeriesDropped, "mapshift_metrics_series_dropped_total", Kind::kCounter,
     "Attempts to add a series beyond the limit on their number."},
    {Id::kProcessCpu, "process_cpu_seconds_total", Kind::kCounter, "User and system CPU time that the agent spent."},
    {Id::kProcessResident, "process_resident_memory_bytes", Kind::kGauge, "Resident memory of the agent."},
    {Id::kProcessVirtual, "process_virtual_memory_bytes", Kind::kGauge, "Virtual memory of the agent."},
    {Id::kProcessOpenFds, "process_open_fds", Kind::kGauge, "Open file descriptors of the agent."},
    {Id::kProcessMaxFds, "process_max_fds", Kind::kGauge, "Limit on the agent's open file descriptors."},
    {Id::kProcessStart, "process_start_time_seconds", Kind::kGauge, "Unix time at which the agent started."},
});

[[nodiscard]] constexpr const Metric& metric(Id id) { return kMetrics[static_cast<size_t>(id)]; }

consteval bool metrics_are_in_order() {
  for (size_t i = 0; i < kMetrics.size(); ++i)
    if (kMetrics[i].id != static_cast<Id>(i)) return false;
  return true;
}
static_assert(metrics_are_in_order(), "kMetrics must list every Id, in its order");

}  // namespace mapshift::metrics
