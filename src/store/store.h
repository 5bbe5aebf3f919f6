// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alerts/alert.h"
#include "base/fd.h"
#include "base/result.h"
#include "store/rows.h"
#include "update/kept_map.h"

namespace mapshift::store {

class Database;

struct Options {
  uint64_t max_bytes = 512ULL << 20;  // of the database; beyond it writing fails as on a full disk
  size_t updates_per_module = 1000;   // finished updates that are remembered
  size_t measurements_per_update = 2000;
  // How long open() waits for an agent that is just ending, or was killed a moment ago, to let go of the folder.
  std::chrono::milliseconds lock_patience{5000};
};

// What the agent must still know after a crash: modules, generations, updates and their measurements, and a journal of
// steps, in `state_dir`/mapshift.db; object files in `state_dir`/objects. Every call that returns without an error is on
// disk (WAL, synchronous=FULL); one that fails changed nothing. Thread-safe: one lock. One process a folder.
class Store {
 public:
  // Creates the folder (0700) and an empty database when there is none. A damaged, foreign or newer database is an error
  // that says what to do, and the file is left as it was.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::string& state_dir, const Options& options = {});
  ~Store();

  // Makes the module's row this one, and writes its generation's.
  [[nodiscard]] Status put_module(const ModuleRow& row);
  // Its generations go with it; its updates remain as history.
  [[nodiscard]] Status remove_module(const std::string& name);
  [[nodiscard]] Result<ModuleRow> module(const std::string& name);
  [[nodiscard]] Result<std::vector<ModuleRow>> modules();
  [[nodiscard]] Status put_generation(const GenerationRow& row);
  [[nodiscard]] Status remove_generation(const std::string& module, uint64_t generation);
  [[nodiscard]] Result<std::vector<GenerationRow>> generations(const std::string& module);

  // Gives the id: "u-000012", never used twice. kConflict when an update of the module runs, or the key was used.
  [[nodiscard]] Result<std::string> create_update(const NewUpdate& update);
  // The record as it is now, but for its measurements. kStale unless its revision is greater than the stored one.
  [[nodiscard]] Status save_update(const update::UpdateRecord& record);
  // A decision that must survive, written before it is acted upon.
  [[nodiscard]] Status set_intent(const std::string& update_id, const std::string& intent);
  [[nodiscard]] Result<StoredUpdate> update(const std::string& id);
  // Newest first; `module` empty: of all.
  [[nodiscard]] Result<std::vector<update::UpdateRecord>> updates(const std::string& module, size_t limit = 100);
  // Not final, oldest first: what recovery has to finish or undo.
  [[nodiscard]] Result<std::vector<StoredUpdate>> running_updates();
  [[nodiscard]] Result<std::optional<StoredUpdate>> find_by_idempotency_key(const std::string& key);
  // Read back as `measurements` of the record, oldest first.
  [[nodiscard]] Status add_measurement(const std::string& update_id, const slo::Measurement& measurement) {
    return add_measurements(update_id, {measurement});
  }
  // One transaction: they wait for the disk once.
  [[nodiscard]] Status add_measurements(const std::string& update_id, const std::vector<slo::Measurement>& measurements);

  // For each key: did that delivery order a rollback?
  [[nodiscard]] Result<std::vector<bool>> accepted_before(const std::vector<alerts::Key>& keys);
  // All or none, and with those that are accepted the rollback that they order, once for an update.
  [[nodiscard]] Status put_deliveries(const std::vector<alerts::Delivery>& deliveries);
  // About that update, the accepted ones first; at most 100.
  [[nodiscard]] Result<std::vector<update::AlertRecord>> alerts_of(const std::string& update_id);
  [[nodiscard]] Result<std::vector<OrderedAction>> open_actions();
  [[nodiscard]] Result<bool> has_action(const std::string& update_id);  // done or not
  [[nodiscard]] Status finish_action(const std::string& update_id, const std::string& outcome);
  [[nodiscard]] Status put_alert_path(const std::string& update_id, const std::string& path);
  [[nodiscard]] Result<std::string> alert_path(const std::string& update_id);  // empty: none

  // Newest first, without measurements.
  [[nodiscard]] Result<std::vector<update::UpdateRecord>> update_heads(const std::string& module, size_t limit);
  // Rollbacks that no person asked for; `time` as in records.
  [[nodiscard]] Result<size_t> automatic_rollbacks_since(const std::string& time);
  [[nodiscard]] Result<std::string> last_automatic_rollback(const std::string& module);  // its time; empty: none
  // The automatic rollback because of which that object is quarantined: the last update to it that swapped ended so.
  [[nodiscard]] Result<std::optional<update::UpdateRecord>> quarantine(const std::string& module, const std::string& digest);

  // Old maps that are kept for those who hold them, in the journal under "kept:MODULE".
  [[nodiscard]] Status keep_map(const update::KeptMap& map);
  [[nodiscard]] Result<std::vector<update::KeptMap>> kept_maps();
  [[nodiscard]] Status drop_kept_map(const std::string& module, const std::string& map);  // not there: not an error

  // Before a step is taken. `detail` is what undoing it needs.
  [[nodiscard]] Status record_intent(const std::string& subject, const std::string& step, const std::string& detail = "{}");
  // After it: completes the newest open intent of that step. kNotFound when there is none.
  [[nodiscard]] Status done(const std::string& subject, const std::string& step);
  // In the order in which it was intended.
  [[nodiscard]] Result<std::vector<JournalEntry>> journal(const std::string& subject);
  // Of subjects that are no update, which have to be forgotten by hand.
  [[nodiscard]] Status clear_journal(const std::string& subject);
  // Subjects with an open intent, oldest first.
  [[nodiscard]] Result<std::vector<std::string>> open_subjects();

  // Copies an object file to objects/<digest>.bpf.o, all or nothing, and gives that path. kInvalid when the content is not
  // that of `digest`. Stays until prune_objects() finds it unused.
  [[nodiscard]] Result<std::string> keep_object(const std::string& source_path, const std::string& digest);
  // Removes objects that no module, generation or running update refers to; those kept since the start and not
  // referred to yet stay.
  [[nodiscard]] Status prune_objects();

 private:
  Store(std::string state_dir, const Options& options, Fd lock, Database database);
  [[nodiscard]] std::string objects_dir() const { return state_dir_ + "/objects"; }
  // The lock is held by the caller from here on.
  [[nodiscard]] Status write_generation(const GenerationRow& row);
  [[nodiscard]] Status write_phases(const update::UpdateRecord& record);
  [[nodiscard]] Status prune_history(const std::string& module);
  [[nodiscard]] Result<std::set<std::string>> referenced_digests();

  const std::string state_dir_;
  const Options options_;
  Fd lock_;  // flock on state_dir/lock: one agent a folder
  std::mutex mutex_;
  std::unique_ptr<Database> database_;  // guarded by mutex_
  std::set<std::string> fresh_;         // guarded by mutex_: digests kept and not referred to yet
};

}  // namespace mapshift::store
