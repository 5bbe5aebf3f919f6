// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "base/log.h"
#include "store/database.h"
#include "store/kept_map_json.h"
#include "store/store.h"

namespace mapshift::store {
namespace {

constexpr const char* kPrefix = "kept:";

}  // namespace

Status Store::keep_map(const update::KeptMap& map) {
  const std::lock_guard lock(mutex_);
  const std::string subject = kPrefix + map.module;
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_CHECK(database_->run("DELETE FROM journal WHERE subject = ? AND step = ?", subject, map.map));
  MS_CHECK(database_->run("INSERT INTO journal(subject, step, detail, intended_at) VALUES(?,?,?,?)", subject, map.map, to_text(map),
                          now_text()));
  return transaction.commit();
}

Result<std::vector<update::KeptMap>> Store::kept_maps() {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT detail FROM journal WHERE subject GLOB 'kept:*' AND done_at = '' ORDER BY seq"));
  std::vector<update::KeptMap> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    auto map = kept_map_from(row.text(0));
    if (map) out.push_back(std::move(*map));
    else log::warn("an old map cannot be kept: what is known of it is of another release", {{"error", map.error().message}});
  }
}

Status Store::drop_kept_map(const std::string& module, const std::string& map) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(database_->run("DELETE FROM journal WHERE subject = ? AND step = ?", kPrefix + module, map));
  return {};
}

}  // namespace mapshift::store
