// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "config/record_json.h"
#include "store/database.h"
#include "store/stored_update.h"
#include "store/store.h"

namespace mapshift::store {
namespace {

// Phases and measurements have tables of their own.
std::string record_text(update::UpdateRecord record) {
  record.phases.clear();
  record.measurements.clear();
  using Json = nlohmann::ordered_json;
  return config::to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> insert_update(Database& database, const NewUpdate& update, update::UpdateRecord& record) {
  MS_CHECK(database.run("INSERT INTO updates(module, state, final, from_generation, to_generation, manifest, old_manifest, "
                        "idempotency_key, digest, record, revision, created_at, updated_at) VALUES(?,?,?,?,?,?,?,?,?,'',?,?,?)",
                        record.module, update::to_string(record.state), update::is_final(record.state) ? 1 : 0,
                        record.from.generation, record.to.generation, update.manifest, update.old_manifest,
                        update.idempotency_key, record.digest, record.revision, record.created_at, record.updated_at));
  const int64_t sequence = database.last_rowid();
  record.id = fmt::format("u-{:06}", sequence);
  MS_CHECK(database.run("UPDATE updates SET id = ?, record = ? WHERE seq = ?", record.id, record_text(record), sequence));
  return record.id;
}

// kConflict in words that name what is in the way; an update that may be created passes.
Status check_free(Database& database, const NewUpdate& update) {
  MS_TRY(Statement running, database.query("SELECT id, state FROM updates WHERE module = ? AND final = 0", update.record.module));
  MS_TRY(const bool busy, running.step());
  if (busy && !update::is_final(update.record.state))
    return fail(ErrorCode::kConflict,
                fmt::format("update {} of {} is under way ({}); wait for its end, or end it with commit, rollback or abort",
                                                  running.text(0), update.record.module, running.text(1)));
  MS_TRY(Statement same, database.query("SELECT id FROM updates WHERE idempotency_key = ? AND idempotency_key <> ''",
                                        update.idempotency_key));
  MS_TRY(const bool used, same.step());
  if (used)
    return fail(ErrorCode::kConflict, fmt::format("the idempotency key was used for update {}; send a new key for a new update",
                                                  same.text(0)));
  return {};
}

}  // namespace

Result<std::string> Store::create_update(const NewUpdate& update) {
  const std::lock_guard lock(mutex_);
  update::UpdateRecord record = update.record;
  if (record.created_at.empty()) record.created_at = now_text();
  if (record.updated_at.empty()) record.updated_at = record.created_at;
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_CHECK(check_free(*database_, update));
  MS_TRY(std::string id, insert_update(*database_, update, record));
  MS_CHECK(write_phases(record));
  MS_CHECK(prune_history(record.module));
  MS_CHECK(transaction.commit());
  fresh_.erase(record.digest);
  return id;
}

Status Store::save_update(const update::UpdateRecord& record) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_TRY(const int64_t saved,
         database_->run("UPDATE updates SET state = ?, final = ?, from_generation = ?, to_generation = ?, digest = ?, "
                        "record = ?, revision = ?, updated_at = ? WHERE id = ? AND revision < ?",
                        update::to_string(record.state), update::is_final(record.state) ? 1 : 0, record.from.generation,
                        record.to.generation, record.digest, record_text(record), record.revision,
                        record.updated_at.empty() ? now_text() : record.updated_at, record.id, record.revision));
  if (saved == 0) {
    MS_TRY(Statement row, database_->query("SELECT revision FROM updates WHERE id = ?", record.id));
    MS_TRY(const bool found, row.step());
    if (!found) return fail(ErrorCode::kNotFound, fmt::format("the store knows no update {}", record.id));
    return fail(ErrorCode::kStale, fmt::format("update {}: revision {} is not newer than the stored {}", record.id,
                                               record.revision,
                                               row.integer(0)));
  }
  MS_CHECK(write_phases(record));
  return transaction.commit();
}

Status Store::write_phases(const update::UpdateRecord& record) {
  MS_CHECK(database_->run("DELETE FROM phases WHERE update_id = ?", record.id));
  int64_t position = 0;
  for (const auto& phase : record.phases)
    MS_CHECK(database_->run("INSERT INTO phases VALUES(?,?,?,?)", record.id, position++, phase.phase, phase.seconds));
  return {};
}

Status Store::set_intent(const std::string& update_id, const std::string& intent) {
  const std::lock_guard lock(mutex_);
  MS_TRY(const int64_t changed, database_->run("UPDATE updates SET intent = ? WHERE id = ?", intent, update_id));
  if (changed == 0) return fail(ErrorCode::kNotFound, fmt::format("the store knows no update {}", update_id));
  return {};
}

Status Store::add_measurements(const std::string& update_id, const std::vector<slo::Measurement>& measurements) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_TRY(Statement row, database_->query("SELECT 1 FROM updates WHERE id = ?", update_id));
  MS_TRY(const bool found, row.step());
  if (!found) return fail(ErrorCode::kNotFound, fmt::format("the store knows no update {}", update_id));
  for (const slo::Measurement& measurement : measurements) MS_CHECK(write_measurement(*database_, update_id, measurement));
  MS_CHECK(database_->run("DELETE FROM measurements WHERE update_id = ?1 AND seq <= (SELECT seq FROM measurements "
                          "WHERE update_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
                          update_id, options_.measurements_per_update));
  return transaction.commit();
}

Result<StoredUpdate> Store::update(const std::string& id) {
  const std::lock_guard lock(mutex_);
  MS_TRY(auto found, read_updates(*database_, "WHERE id = ?", id, 1));
  if (found.empty()) return fail(ErrorCode::kNotFound, fmt::format("the store knows no update {}", id));
  return std::move(found.front());
}

Result<std::vector<update::UpdateRecord>> Store::updates(const std::string& module, size_t limit) {
  const std::lock_guard lock(mutex_);
  MS_TRY(auto found, read_updates(*database_, "WHERE ?1 IN ('', module) ORDER BY seq DESC", module, limit));
  std::vector<update::UpdateRecord> out;
  out.reserve(found.size());
  for (StoredUpdate& stored : found) out.push_back(std::move(stored.record));
  return out;
}

Result<std::vector<StoredUpdate>> Store::running_updates() {
  const std::lock_guard lock(mutex_);
  return read_updates(*database_, "WHERE final = 0 AND ?1 = '' ORDER BY seq", "", SIZE_MAX);
}

Result<std::optional<StoredUpdate>> Store::find_by_idempotency_key(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (key.empty()) return std::optional<StoredUpdate>();
  MS_TRY(auto found, read_updates(*database_, "WHERE idempotency_key = ?", key, 1));
  if (found.empty()) return std::optional<StoredUpdate>();
  return std::optional<StoredUpdate>(std::move(found.front()));
}

Status Store::prune_history(const std::string& module) {
  MS_CHECK(database_->run("DELETE FROM journal WHERE subject IN (SELECT id FROM updates WHERE module = ?1 AND final = 1 "
                          "ORDER BY seq DESC LIMIT -1 OFFSET ?2)",
                          module, options_.updates_per_module));
  MS_CHECK(database_->run("DELETE FROM updates WHERE seq IN (SELECT seq FROM updates WHERE module = ?1 AND final = 1 "
                          "ORDER BY seq DESC LIMIT -1 OFFSET ?2)",
                          module, options_.updates_per_module));
  return {};
}

}  // namespace mapshift::store
