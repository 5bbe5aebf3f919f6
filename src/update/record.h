// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "slo/objective.h"

namespace mapshift::update {

enum class State : uint8_t {
  kPlanned,  // a plan only: never stored
  kPlanning, kLoading, kSyncing, kSwapping, kBaking, kCommitted, kRollingBack, kRolledBack, kFailed, kAborted, kStuck,
};
[[nodiscard]] std::string_view to_string(State state);
[[nodiscard]] bool is_final(State state);  // committed, rolled_back, failed, aborted, stuck

struct GenerationRef {
  uint64_t generation = 0;
  std::string version;
};

struct PhaseRecord {
  std::string phase;
  double seconds = 0;  // of the present phase: until now
};

struct FieldRecord {
  std::string name, from;   // path in the new and in the old layout; `from` empty when the field is new, `name` empty when dropped
  std::string merge;        // sum, latest, max, min, or, first; empty when dropped
  std::string origin;       // declared, manifest, inferred, default
  bool exact = true;
  std::string reason = {};  // why not exact; or what it was inferred from
  std::string change = {};  // "widened u32 to u64", "new, default 1", "dropped", ""
  std::string when = {};    // of a union's member: "kind is TCP"; empty: always
};

struct MapRecord {
  std::string name, from;
  std::string type = {};
  std::string policy, reason;  // reuse, sync, reset, refuse
  bool lossy = false;
  uint64_t passes = 0, keys = 0, added = 0, changed = 0, deleted = 0, conflicts = 0, clamped = 0;
  uint64_t undeclared = 0;     // values carried whose discriminator says none of the declared values
  uint64_t unsynced = 0;       // keys that a rollback would lose (no room on the other side, or its keys cannot say them)
  double progress = 0;         // 0..1
  uint64_t mismatched = 0;     // keys that differ though nothing waits to be moved, at each of several looks
  double staleness_seconds = 0;
  std::string changes = {};    // of a plan: how its changes will be followed, in words; empty: they are not
  std::vector<FieldRecord> fields = {};
  std::string klass = {}, klass_reason = {};  // control, state, flight, scratch, counters; and why it is taken for that
  std::vector<std::string> notes = {};        // of a plan: what else its author should know, a sentence each
};

struct ProgramRecord {
  std::string name, type;  // type as in the manifest's attach: "xdp"
  std::string swap;        // native, dispatcher, overlap, attach (new), detach (gone), none (not attached)
  int order = 0;           // 1 first
  std::string reason = {}; // why this order
  double overlap_seconds = 0;  // swap "overlap": how long both generations' programs were attached
};

// How far a canary is.
struct CanaryRecord {
  int step = 0;      // 1 first; 0: not begun, or over
  double share = 0;  // of events, or of flows, that go to the new generation
  std::vector<double> steps = {};
  std::string by = {};  // random, flow
};

// What one generation's program did while both ran.
struct ComparedSide {
  uint64_t events = 0;
  std::optional<double> run_seconds_avg = {};      // of a sample of them
  std::map<std::string, uint64_t> verdicts = {};   // by return code; "other" without one of its own
};
struct ComparisonRecord {
  std::string program;
  ComparedSide from, to;
  uint64_t misses = 0;  // events that found no program
};

// One alert that was about the update, and what became of it.
struct AlertRecord {
  std::string name, fingerprint, started_at, received_at, disposition;
  std::string message = {};
  uint64_t times = 1;  // that it was delivered
};

// An update, or a plan (state kPlanned): the document of the API, the command line and the store.
struct UpdateRecord {
  std::string id, module;
  State state = State::kPlanning;
  std::string reason = {}, trigger = {};  // trigger of what ended it: cli, api, objective, alert, operator, stall, recovery
  GenerationRef from, to;
  std::string created_at = {}, updated_at = {};
  uint64_t revision = 0;
  std::vector<PhaseRecord> phases = {};
  std::vector<MapRecord> maps = {};
  std::vector<ProgramRecord> programs = {};
  std::string swap = {};  // together, in-order
  std::optional<CanaryRecord> canary = {};
  std::vector<ComparisonRecord> comparison = {};
  double interruption_seconds = 0, mixed_window_seconds = 0;
  double bake_seconds = 0;  // how long it is judged after the swap
  double rollback_seconds = 0;  // from what ended it (the measurement that broke a limit, the order) to the old generation at every hook
  std::map<std::string, double> baselines = {};  // by objective: its value before the swap
  std::vector<slo::Measurement> measurements = {};
  std::vector<Problem> warnings = {}, refusals = {};
  std::string digest = {};  // of the new object
  std::vector<AlertRecord> alerts = {};
  std::string alert_path = {};  // "proven", "blind": would an alert have reached the agent during the bake; empty: unknown
};

struct ModuleProgram {
  std::string name, type, attach;  // attach in words: "xdp on eth0 (native)"
  uint32_t id = 0;                 // the kernel's program id
  uint64_t runs = 0, missed = 0;
  double run_seconds = 0;
};

// How the changes of a map are followed.
struct MapChanges {
  std::string source;       // "instrumented+syscall", best first; empty while it is not followed
  std::string mode;         // events, pull, hybrid
  bool complete = false;    // every change is seen but for in-place writes, or the last of several
  std::string reason = {};  // why these sources
  std::string problem = {}; // why it is not followed though it should be
  uint64_t version = 0, seen = 0, lost = 0;
};

// The former generation's map, which processes still hold: it is kept in step with this one.
struct KeptHolder {
  int pid = 0;  // 0: no process, but a program that sockets run on
  std::string comm;
};
struct KeptRecord {
  uint32_t id = 0;
  std::string until;                // when it is dropped, whoever holds it
  std::vector<KeptHolder> holders;  // processes, at most kMaxKeptHolders of them
  uint64_t holder_count = 0;
  std::string problem = {};         // why it is not in step, though it should be
};
inline constexpr size_t kMaxKeptHolders = 32;
// "4711 (reader), 4712 (other) and 1 more"; empty when nobody holds it.
[[nodiscard]] std::string describe_holders(const KeptRecord& kept);

struct ModuleMap {
  std::string name, type;
  uint32_t id = 0, key_size = 0, value_size = 0, max_entries = 0;
  uint64_t entries = 0, memory_bytes = 0;
  std::string pin;
  std::string uncounted = {};  // why its entries cannot be counted; `entries` says nothing then
  std::optional<MapChanges> changes = {};  // absent: the configuration does not name it
  std::optional<KeptRecord> kept = {};     // absent: no former map of it is there
};

struct ModuleRecord {
  std::string name, version, digest;
  uint64_t generation = 0;
  std::vector<ModuleProgram> programs;
  std::vector<ModuleMap> maps;
  std::vector<UpdateRecord> running_update = {};  // none or one
};

}  // namespace mapshift::update
