// SPDX-License-Identifier: Apache-2.0
#include "store/database.h"

#include <fmt/format.h>

#include <cerrno>

namespace mapshift::store {
namespace {

constexpr int kBusyMilliseconds = 2000;

Error database_error(sqlite3* raw, int rc) {
  const char* name = raw == nullptr ? nullptr : sqlite3_db_filename(raw, "main");
  const std::string path = name == nullptr ? "the database" : name;
  const std::string detail = raw == nullptr ? sqlite3_errstr(rc) : sqlite3_errmsg(raw);
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return {ErrorCode::kKernel, ENOSPC,
              fmt::format("{}: no room to write ({}); free space on that disk and try again, nothing was changed", path, detail),
              {}};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return {ErrorCode::kInvalid, 0, fmt::format("{} is damaged ({}); {}", path, detail, advice(path)), {}};
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return {ErrorCode::kKernel, EACCES,
              fmt::format("{} cannot be written ({}); check the owner, the mode and the mount of its folder", path, detail), {}};
    case SQLITE_BUSY:
      return {ErrorCode::kConflict, 0, fmt::format("{} is held by another process ({}); end it and try again", path, detail), {}};
    case SQLITE_IOERR: {
      const int err = raw == nullptr ? 0 : sqlite3_system_errno(raw);
      return {ErrorCode::kKernel, err == 0 ? EIO : err,
              fmt::format("{}: reading or writing failed ({}); check the disk", path, detail), {}};
    }
    case SQLITE_CONSTRAINT: return {ErrorCode::kConflict, 0, fmt::format("{}: {}", path, detail), {}};
    default: return {ErrorCode::kInternal, 0, fmt::format("{}: {}", path, detail), {}};
  }
}

}  // namespace

std::string advice(const std::string& path) {
  return fmt::format(
      "stop the agent, move {0} and {0}-wal away (keep them) and start again: the history of updates and the record of the "
      "loaded modules are then lost; what is loaded keeps running",
      path);
}

Result<bool> Statement::step() {
  const int rc = failed_ != SQLITE_OK ? failed_ : sqlite3_step(raw_.get());
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return fail(database_error(sqlite3_db_handle(raw_.get()), rc));
}

std::string Statement::text(int column) const {
  const auto* data = sqlite3_column_text(raw_.get(), column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data), static_cast<size_t>(sqlite3_column_bytes(raw_.get(), column))};
}

std::optional<double> Statement::real(int column) const {
  if (sqlite3_column_type(raw_.get(), column) == SQLITE_NULL) return {};
  return sqlite3_column_double(raw_.get(), column);
}

void Statement::bind(int index, std::string_view value) {
  keep(sqlite3_bind_text64(raw_.get(), index, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::bind(int index, std::optional<double> value) {
  keep(value ? sqlite3_bind_double(raw_.get(), index, *value) : sqlite3_bind_null(raw_.get(), index));
}

Result<Database> Database::open(const std::string& path, bool create) {
  Database out(path);
  sqlite3* raw = nullptr;
  // One connection, one lock above it: SQLite's own is not needed.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | (create ? SQLITE_OPEN_CREATE : 0);
  const int rc = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  out.raw_.reset(raw);
  if (rc != SQLITE_OK) return fail(database_error(raw, rc));
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return out;
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int rc = sqlite3_prepare_v2(raw_.get(), sql.data(), static_cast<int>(sql.size()), &raw, nullptr);
  if (rc != SQLITE_OK) return fail(database_error(raw_.get(), rc));
  return Statement(raw);
}

Result<int64_t> Database::finish(Statement& statement) {
  for (bool more = true; more;) {
    MS_TRY(more, statement.step());
  }
  return sqlite3_changes64(raw_.get());
}

Status Database::script(const char* sql) {
  const int rc = sqlite3_exec(raw_.get(), sql, nullptr, nullptr, nullptr);
  if (rc != SQLITE_OK) return fail(database_error(raw_.get(), rc));
  return {};
}

Result<Transaction> Transaction::begin(Database& database) {
  // Immediate: a lock that cannot be had is reported here, not in the middle.
  MS_CHECK(database.script("BEGIN IMMEDIATE"));
  return Transaction(database);
}

Transaction::~Transaction() {
  // A failed ROLLBACK means that SQLite has already undone the transaction by itself.
  if (database_ != nullptr && database_->in_transaction()) (void)database_->script("ROLLBACK");
}

Status Transaction::commit() {
  MS_CHECK(database_->script("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace mapshift::store
