// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/clock.h"
#include "store/database.h"
#include "store/store.h"

namespace mapshift::store {

Status Store::record_intent(const std::string& subject, const std::string& step, const std::string& detail) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(database_->run("INSERT INTO journal(subject, step, detail, intended_at) VALUES(?,?,?,?)", subject, step, detail,
                          now_text()));
  return {};
}

Status Store::done(const std::string& subject, const std::string& step) {
  const std::lock_guard lock(mutex_);
  MS_TRY(const int64_t changed,
         database_->run("UPDATE journal SET done_at = ? WHERE seq = (SELECT max(seq) FROM journal WHERE subject = ? AND step = ? "
                        "AND done_at = '')",
                        now_text(), subject, step));
  if (changed == 0)
    return fail(ErrorCode::kNotFound, fmt::format("journal of {}: step {} was not intended, or is done", subject, step));
  return {};
}

Result<std::vector<JournalEntry>> Store::journal(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row,
         database_->query("SELECT seq, subject, step, detail, intended_at, done_at FROM journal WHERE subject = ? ORDER BY seq",
                                         subject));
  std::vector<JournalEntry> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back({static_cast<uint64_t>(row.integer(0)), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5)});
  }
}

Status Store::clear_journal(const std::string& subject) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(database_->run("DELETE FROM journal WHERE subject = ?", subject));
  return {};
}

Result<std::vector<std::string>> Store::open_subjects() {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT subject FROM journal WHERE done_at = '' GROUP BY subject ORDER BY min(seq)"));
  std::vector<std::string> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back(row.text(0));
  }
}

}  // namespace mapshift::store
