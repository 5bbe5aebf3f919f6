// SPDX-License-Identifier: Apache-2.0
// What the history of updates says about automatic rollbacks. Nothing of it is kept beside the history, so that the two
// cannot disagree, and a crash between them is impossible.
#include <fmt/format.h>

#include "store/database.h"
#include "store/store.h"
#include "store/stored_update.h"

namespace mapshift::store {
namespace {

// The triggers of alerts::is_automatic().
constexpr std::string_view kAutomatic = "state = 'rolled_back' AND json_extract(record, '$.trigger') IN ('objective', 'alert', 'stall')";

}  // namespace

Result<std::vector<update::UpdateRecord>> Store::update_heads(const std::string& module, size_t limit) {
  const std::lock_guard lock(mutex_);
  return read_heads(*database_, module, limit);
}

Result<size_t> Store::automatic_rollbacks_since(const std::string& time) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query(fmt::format("SELECT count(*) FROM updates WHERE updated_at > ? AND {}", kAutomatic), time));
  MS_TRY([[maybe_unused]] const bool found, row.step());
  return static_cast<size_t>(row.integer(0));
}

Result<std::string> Store::last_automatic_rollback(const std::string& module) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row,
         database_->query(fmt::format("SELECT updated_at FROM updates WHERE module = ? AND {} ORDER BY seq DESC LIMIT 1", kAutomatic), module));
  MS_TRY(const bool found, row.step());
  return found ? row.text(0) : std::string();
}

Result<std::optional<update::UpdateRecord>> Store::quarantine(const std::string& module, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row,
         database_->query(fmt::format("SELECT id, {} FROM updates WHERE module = ? AND digest = ? AND state IN ('committed', 'rolled_back') "
                                      "ORDER BY seq DESC LIMIT 1",
                                      kAutomatic),
                          module, digest));
  MS_TRY(const bool found, row.step());
  if (!found || row.integer(1) == 0) return std::optional<update::UpdateRecord>();
  MS_TRY(auto updates, read_updates(*database_, "WHERE id = ?", row.text(0), 1));
  if (updates.empty()) return std::optional<update::UpdateRecord>();
  return std::optional<update::UpdateRecord>(std::move(updates.front().record));
}

}  // namespace mapshift::store
