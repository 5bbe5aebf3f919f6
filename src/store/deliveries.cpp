// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/clock.h"
#include "store/database.h"
#include "store/store.h"

namespace mapshift::store {
namespace {

constexpr size_t kKeptDeliveries = 10'000;
constexpr size_t kShownDeliveries = 100;

}  // namespace

Result<std::vector<bool>> Store::accepted_before(const std::vector<alerts::Key>& keys) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT 1 FROM deliveries WHERE fingerprint = ? AND starts_at = ? AND status = ? "
                                         "AND disposition = 'accepted'"));
  std::vector<bool> out;
  out.reserve(keys.size());
  for (const alerts::Key& key : keys) {
    row.reset(key.fingerprint, key.starts_at, key.status);
    MS_TRY(const bool found, row.step());
    out.push_back(found);
  }
  return out;
}

// What was accepted stays so: a later delivery of the same is a duplicate of it.
Status Store::put_deliveries(const std::vector<alerts::Delivery>& deliveries) {
  const std::lock_guard lock(mutex_);
  const std::string now = now_text();
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_TRY(Statement insert,
         database_->query("INSERT INTO deliveries(fingerprint, starts_at, status, name, module, update_id, disposition, message, "
                          "first_at, last_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?9) ON CONFLICT(fingerprint, starts_at, status) "
                          "DO UPDATE SET last_at = excluded.last_at, times = times + 1, "
                          "update_id = iif(disposition = 'accepted', update_id, excluded.update_id), "
                          "message = iif(disposition = 'accepted', message, excluded.message), "
                          "disposition = iif(disposition = 'accepted', disposition, excluded.disposition)"));
  for (const alerts::Delivery& one : deliveries) {
    insert.reset(one.key.fingerprint, one.key.starts_at, one.key.status, one.name, one.module, one.update_id,
                 alerts::name_of(one.disposition), one.message, now);
    MS_CHECK(insert.step());
    if (one.disposition != alerts::Disposition::kAccepted) continue;
    MS_CHECK(database_->run("INSERT OR IGNORE INTO actions(update_id, action, reason, ordered_at) VALUES(?,'rollback',?,?)",
                            one.update_id, one.message, now));
  }
  MS_CHECK(database_->run("DELETE FROM deliveries WHERE seq <= (SELECT max(seq) FROM deliveries) - ?", kKeptDeliveries));
  return transaction.commit();
}

Result<std::vector<update::AlertRecord>> Store::alerts_of(const std::string& update_id) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query(fmt::format("SELECT name, fingerprint, starts_at, first_at, disposition, message, times "
                                                     "FROM deliveries WHERE update_id = ? ORDER BY disposition <> 'accepted', seq LIMIT {}",
                                                     kShownDeliveries),
                                         update_id));
  std::vector<update::AlertRecord> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5), static_cast<uint64_t>(row.integer(6))});
  }
}

Result<std::vector<OrderedAction>> Store::open_actions() {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT update_id, reason FROM actions WHERE done_at = '' ORDER BY ordered_at"));
  std::vector<OrderedAction> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back({row.text(0), row.text(1)});
  }
}

Result<bool> Store::has_action(const std::string& update_id) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT 1 FROM actions WHERE update_id = ?", update_id));
  return row.step();
}

Status Store::finish_action(const std::string& update_id, const std::string& outcome) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(database_->run("UPDATE actions SET done_at = ?, outcome = ? WHERE update_id = ?", now_text(), outcome, update_id));
  return {};
}

Status Store::put_alert_path(const std::string& update_id, const std::string& path) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(database_->run("INSERT OR REPLACE INTO alert_paths(update_id, path, at) VALUES(?,?,?)", update_id, path, now_text()));
  return {};
}

Result<std::string> Store::alert_path(const std::string& update_id) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT path FROM alert_paths WHERE update_id = ?", update_id));
  MS_TRY(const bool found, row.step());
  return found ? row.text(0) : std::string();
}

}  // namespace mapshift::store
