// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <sqlite3.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace mapshift::store {

// What to do about a database file that cannot be used, and what that costs: the end of every such message.
[[nodiscard]] std::string advice(const std::string& path);

// One prepared statement and its cursor. Must not outlive its Database.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* raw) : raw_(raw) {}

  // True when there is a row; its columns stay valid until the next step.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] int64_t integer(int column) const { return sqlite3_column_int64(raw_.get(), column); }
  [[nodiscard]] std::optional<double> real(int column) const;

  // Back to before the first step, with other values for all parameters.
  template <class... Args>
  void reset(const Args&... args) {
    sqlite3_reset(raw_.get());
    int index = 0;
    (bind(++index, args), ...);
  }
  void bind(int index, std::string_view value);
  void bind(int index, double value) { keep(sqlite3_bind_double(raw_.get(), index, value)); }
  void bind(int index, std::integral auto value) { keep(sqlite3_bind_int64(raw_.get(), index, static_cast<int64_t>(value))); }
  void bind(int index, std::optional<double> value);

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* raw) const { sqlite3_finalize(raw); }
  };
  void keep(int rc) { failed_ = failed_ == SQLITE_OK ? rc : failed_; }

  std::unique_ptr<sqlite3_stmt, Finalize> raw_;
  int failed_ = SQLITE_OK;  // the first failed bind: step() returns it
};

// Owner of one SQLite connection. Not thread-safe: the caller serialises. Errors name the file and what to do; a full disk is
// kKernel with ENOSPC, a damaged file kInvalid.
class Database {
 public:
  [[nodiscard]] static Result<Database> open(const std::string& path, bool create);

  // Prepares and binds; parameters are "?" in order.
  template <class... Args>
  [[nodiscard]] Result<Statement> query(std::string_view sql, const Args&... args) {
    auto statement = prepare(sql);
    if (statement) {
      int index = 0;
      (statement->bind(++index, args), ...);
    }
    return statement;
  }
  // Runs a statement to its end; gives the number of rows it changed.
  template <class... Args>
  [[nodiscard]] Result<int64_t> run(std::string_view sql, const Args&... args) {
    MS_TRY(Statement statement, query(sql, args...));
    return finish(statement);
  }
  // Several statements without parameters.
  [[nodiscard]] Status script(const char* sql);
  [[nodiscard]] int64_t last_rowid() const { return sqlite3_last_insert_rowid(raw_.get()); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(raw_.get()) == 0; }

 private:
  struct Close {
    void operator()(sqlite3* raw) const { sqlite3_close_v2(raw); }
  };
  explicit Database(std::string path) : path_(std::move(path)) {}
  [[nodiscard]] Result<Statement> prepare(std::string_view sql);
  [[nodiscard]] Result<int64_t> finish(Statement& statement);

  std::string path_;
  std::unique_ptr<sqlite3, Close> raw_;
};

// Undone when destroyed before commit().
class Transaction {
 public:
  [[nodiscard]] static Result<Transaction> begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  // After an error nothing of the transaction is kept.
  [[nodiscard]] Status commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;
};

}  // namespace mapshift::store
