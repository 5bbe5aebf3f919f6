// SPDX-License-Identifier: Apache-2.0
#include "store/schema.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "base/fd.h"

namespace mapshift::store {
namespace {

constexpr int64_t kApplicationId = 0x4d534846;  // "MSHF": tells ours from other programs' databases
constexpr int64_t kPageSize = 4096;

// Each entry brings the schema from version i to i + 1. Only ever append.
constexpr std::array kMigrations{
    R"sql(
CREATE TABLE modules(
  name TEXT PRIMARY KEY, generation INTEGER NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
  manifest TEXT NOT NULL, object_path TEXT NOT NULL, state TEXT NOT NULL) STRICT;
CREATE TABLE generations(
  module TEXT NOT NULL, generation INTEGER NOT NULL, version TEXT NOT NULL, digest TEXT NOT NULL,
  manifest TEXT NOT NULL, object_path TEXT NOT NULL, created_at TEXT NOT NULL,
  PRIMARY KEY(module, generation)) STRICT;
-- AUTOINCREMENT: an id is never given twice, also when its update was pruned.
CREATE TABLE updates(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, module TEXT NOT NULL, state TEXT NOT NULL, final INTEGER NOT NULL,
  from_generation INTEGER NOT NULL, to_generation INTEGER NOT NULL, manifest TEXT NOT NULL, old_manifest TEXT NOT NULL,
  idempotency_key TEXT NOT NULL, digest TEXT NOT NULL, record TEXT NOT NULL, revision INTEGER NOT NULL,
  created_at TEXT NOT NULL, updated_at TEXT NOT NULL, intent TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX updates_of_module ON updates(module, seq);
CREATE UNIQUE INDEX one_running_update ON updates(module) WHERE final = 0;
CREATE UNIQUE INDEX idempotency ON updates(idempotency_key) WHERE idempotency_key <> '';
CREATE TABLE phases(
  update_id TEXT NOT NULL REFERENCES updates(id) ON DELETE CASCADE, position INTEGER NOT NULL,
  phase TEXT NOT NULL, seconds REAL NOT NULL, PRIMARY KEY(update_id, position)) STRICT;
CREATE TABLE measurements(
  seq INTEGER PRIMARY KEY, update_id TEXT NOT NULL REFERENCES updates(id) ON DELETE CASCADE,
  objective TEXT NOT NULL, at TEXT NOT NULL, value REAL, "limit" REAL, outcome TEXT NOT NULL, message TEXT NOT NULL) STRICT;
CREATE INDEX measurements_of_update ON measurements(update_id, seq);
CREATE TABLE journal(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, step TEXT NOT NULL, detail TEXT NOT NULL,
  intended_at TEXT NOT NULL, done_at TEXT NOT NULL DEFAULT '') STRICT;
CREATE INDEX journal_of_subject ON journal(subject, seq);
)sql",
    R"sql(
-- Alerts as Alertmanager delivered them; a repeated delivery is the same row.
CREATE TABLE deliveries(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, fingerprint TEXT NOT NULL, starts_at TEXT NOT NULL, status TEXT NOT NULL,
  name TEXT NOT NULL, module TEXT NOT NULL, update_id TEXT NOT NULL, disposition TEXT NOT NULL, message TEXT NOT NULL,
  first_at TEXT NOT NULL, last_at TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1,
  UNIQUE(fingerprint, starts_at, status)) STRICT;
CREATE INDEX deliveries_of_update ON deliveries(update_id) WHERE update_id <> '';
-- What an alert ordered, once for an update: written with the delivery, done afterwards.
CREATE TABLE actions(
  update_id TEXT NOT NULL REFERENCES updates(id) ON DELETE CASCADE, action TEXT NOT NULL, reason TEXT NOT NULL,
  ordered_at TEXT NOT NULL, done_at TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL DEFAULT '', PRIMARY KEY(update_id, action)) STRICT;
-- Whether an alert would have reached the agent while the update baked.
CREATE TABLE alert_paths(
  update_id TEXT PRIMARY KEY REFERENCES updates(id) ON DELETE CASCADE, path TEXT NOT NULL, at TEXT NOT NULL) STRICT;
)sql",
};

Result<int64_t> pragma(Database& database, std::string_view name) {
  MS_TRY(Statement statement, database.query(fmt::format("PRAGMA {}", name)));
  MS_TRY(const bool found, statement.step());
  return found ? statement.integer(0) : 0;
}

Status configure(Database& database, uint64_t max_bytes) {
  MS_CHECK(database.script("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cell_size_check=ON;"
                           "PRAGMA journal_size_limit=4194304; PRAGMA temp_store=MEMORY;"));
  return database.script(fmt::format("PRAGMA max_page_count={}", static_cast<int64_t>(max_bytes) / kPageSize).c_str());
}

Status migrate(Database& database) {
  MS_TRY(int64_t version, pragma(database, "user_version"));
  for (; version < schema_version(); version++) {
    MS_TRY(Transaction transaction, Transaction::begin(database));
    MS_CHECK(database.script(kMigrations[static_cast<size_t>(version)]));
    MS_CHECK(database.script(fmt::format("PRAGMA user_version={}", version + 1).c_str()));
    MS_CHECK(transaction.commit());
  }
  return {};
}

Status fsync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path();
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail_errno(errno, "sync " + folder);
  return {};
}

// Built aside and renamed, so that a crash while creating leaves nothing that looks like a database.
Status create(const std::string& path) {
  const std::string aside = path + ".new";
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((aside + suffix).c_str());
  {
    MS_TRY(Database database, Database::open(aside, true));
    MS_CHECK(database.script("PRAGMA page_size=4096; PRAGMA synchronous=FULL;"));
    MS_CHECK(database.script(fmt::format("PRAGMA application_id={}", kApplicationId).c_str()));
    MS_CHECK(migrate(database));
    MS_CHECK(database.script("PRAGMA journal_mode=WAL"));
  }
  // The last close has moved the log into the file; SQLite does not sync the mode's change by itself.
  const Fd fd(::open(aside.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail_errno(errno, "sync " + aside);
  if (::rename(aside.c_str(), path.c_str()) != 0) return fail_errno(errno, "rename " + aside);
  return fsync_folder_of(path);
}

// What can be told without SQLite, and with a better message.
Status check_header(const std::string& path) {
  static constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::array<char, kMagic.size()> head{};
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, "open " + path);
  const ssize_t got = ::read(fd.get(), head.data(), head.size());
  if (got < 0) return fail_errno(errno, "read " + path);
  if (std::string_view(head.data(), static_cast<size_t>(got)) == kMagic) return {};
  return fail(ErrorCode::kInvalid, fmt::format("{} is {}; {}", path,
                                               got == 0 ? "empty: it was cut off" : "damaged or no database of mapshift",
                                               advice(path)));
}

Status check_identity(Database& database) {
  MS_TRY(const int64_t application, pragma(database, "application_id"));
  if (application != kApplicationId)
    return fail(ErrorCode::kInvalid, fmt::format("{} is a database of another program; set another state_dir, or {}",
                                                 database.path(),
                                                 advice(database.path())));
  MS_TRY(const int64_t version, pragma(database, "user_version"));
  if (version > schema_version())
    return fail(ErrorCode::kInvalid,
                fmt::format("{} was written by a newer mapshift (schema {}, this one knows {}); start the newer one, or {}",
                                                 database.path(), version, schema_version(), advice(database.path())));
  MS_TRY(Statement check, database.query("PRAGMA quick_check(1)"));
  MS_TRY(const bool found, check.step());
  if (!found || check.text(0) != "ok")
    return fail(ErrorCode::kInvalid, fmt::format("{} is damaged ({}); {}", database.path(), check.text(0),
                                                 advice(database.path())));
  return {};
}

}  // namespace

int64_t schema_version() { return static_cast<int64_t>(kMigrations.size()); }

Result<Database> open_database(const std::string& path, uint64_t max_bytes) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return fail_errno(errno, "open " + path);
    // A log without its database would be replayed into the new one.
    if (::lstat((path + "-wal").c_str(), &info) == 0)
      return fail(ErrorCode::kInvalid, fmt::format("{0} is missing but {0}-wal is there; put {0} back, or {1}", path,
                                                   advice(path)));
    MS_CHECK(create(path));
  } else if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::kInvalid, fmt::format("{} is no regular file; {}", path, advice(path)));
  }
  MS_CHECK(check_header(path));
  MS_TRY(Database database, Database::open(path, false));
  MS_CHECK(check_identity(database));
  MS_CHECK(configure(database, max_bytes));
  MS_CHECK(migrate(database));
  return database;
}

}  // namespace mapshift::store
