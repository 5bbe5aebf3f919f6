// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "alerts/alert.h"
#include "base/clock.h"
#include "base/result.h"
#include "http/map_service.h"
#include "observe/go/report.h"
#include "update/manifest.h"
#include "update/record.h"

namespace mapshift::http {

struct UpdateOptions {
  std::optional<std::chrono::nanoseconds> bake = {};
  bool allow_lossy = false;
  bool force_quarantined = false;  // start although an automatic rollback quarantined the object
  std::optional<uint64_t> if_generation = {};
  std::string idempotency_key = {};
  std::string trigger = "api";
};

// Programs that somebody else attached, to become a module.
struct AdoptOptions {
  std::string name;
  std::vector<uint32_t> links = {};
  std::optional<uint32_t> program = {};            // that the first link must run
  std::optional<update::Manifest> manifest = {};   // of what runs, with its object file
};

enum class Verdict : uint8_t { kRollback, kCommit, kAbort };

// The Go processes of this host, as far as they are captured.
struct GoProcesses {
  bool enabled = false;
  std::string reason = {};  // why there is no capture
  Nanos read_at{0};         // monotonic
  uint64_t dropped = 0;     // found beyond the limit on their number, ever
  std::vector<observe::go::ProcessReport> processes = {};
};

// What the routes ask of the agent. Every member may be called from any thread at any time; none blocks for longer than
// its own work (start_update returns as soon as the update is planned and stored).
// Errors: kNotFound, kConflict, kStale, kRefused (with problems), kInvalid, kUnsupported, kKernel, kInternal.
class Service {
 public:
  virtual ~Service() = default;
  // The path of NAME.json in the first of the configuration's module_dirs that has it.
  [[nodiscard]] virtual Result<std::string> find_manifest(const std::string& name) = 0;
  [[nodiscard]] virtual Result<update::ModuleRecord> load(const update::Manifest& manifest) = 0;
  // Takes over what runs, as generation 1; changes nothing that runs.
  [[nodiscard]] virtual Result<update::ModuleRecord> adopt(const AdoptOptions& options) = 0;
  [[nodiscard]] virtual std::vector<update::ModuleRecord> modules() = 0;
  [[nodiscard]] virtual Result<update::ModuleRecord> module(const std::string& name) = 0;
  [[nodiscard]] virtual Status unload(const std::string& name) = 0;
  [[nodiscard]] virtual Result<update::UpdateRecord> plan(const update::Manifest& manifest) = 0;
  [[nodiscard]] virtual Result<update::UpdateRecord> start_update(const update::Manifest& manifest, const UpdateOptions& options) = 0;
  // Newest first; `module` empty: all.
  [[nodiscard]] virtual std::vector<update::UpdateRecord> updates(const std::string& module) = 0;
  // Returns at once when the record's revision is greater than `since`, else waits for that, at most `wait`.
  [[nodiscard]] virtual Result<update::UpdateRecord> update(const std::string& id, uint64_t since, std::chrono::nanoseconds wait) = 0;
  [[nodiscard]] virtual Result<update::UpdateRecord> decide(const std::string& id, Verdict verdict, const std::string& reason,
                                                            const std::string& trigger) = 0;
  // Stores them durably and says what becomes of each, in their order; acts afterwards. Fails only when it cannot store.
  [[nodiscard]] virtual Result<std::vector<alerts::Delivery>> receive_alerts(const std::vector<alerts::Alert>& alerts) = 0;
  [[nodiscard]] virtual GoProcesses go_processes() = 0;
  // One, with its goroutines counted now. kNotFound, kUnavailable when nothing is captured.
  [[nodiscard]] virtual Result<observe::go::ProcessReport> go_process(int pid) = 0;
  [[nodiscard]] virtual MapService& maps() = 0;
  [[nodiscard]] virtual Status reload() = 0;
  [[nodiscard]] virtual bool ready() = 0;  // recovery is over, and requests are served
};

}  // namespace mapshift::http
