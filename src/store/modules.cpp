// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/clock.h"
#include "store/database.h"
#include "store/store.h"

namespace mapshift::store {
namespace {

constexpr std::string_view kModuleColumns = "name, generation, version, digest, manifest, object_path, state";

ModuleRow module_row(const Statement& row) {
  return {row.text(0), static_cast<uint64_t>(row.integer(1)), row.text(2), row.text(3), row.text(4), row.text(5), row.text(6)};
}

}  // namespace

Status Store::put_module(const ModuleRow& row) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_CHECK(database_->run(fmt::format("INSERT OR REPLACE INTO modules({}) VALUES(?,?,?,?,?,?,?)", kModuleColumns), row.name,
                          row.generation, row.version, row.digest, row.manifest, row.object_path, row.state));
  MS_CHECK(write_generation({row.name, row.generation, row.version, row.digest, row.manifest, row.object_path}));
  MS_CHECK(transaction.commit());
  fresh_.erase(row.digest);
  return {};
}

Status Store::remove_module(const std::string& name) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Transaction transaction, Transaction::begin(*database_));
  MS_TRY(const int64_t removed, database_->run("DELETE FROM modules WHERE name = ?", name));
  if (removed == 0) return fail(ErrorCode::kNotFound, fmt::format("the store knows no module {}", name));
  MS_CHECK(database_->run("DELETE FROM generations WHERE module = ?", name));
  return transaction.commit();
}

Result<ModuleRow> Store::module(const std::string& name) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query(fmt::format("SELECT {} FROM modules WHERE name = ?", kModuleColumns), name));
  MS_TRY(const bool found, row.step());
  if (!found) return fail(ErrorCode::kNotFound, fmt::format("the store knows no module {}", name));
  return module_row(row);
}

Result<std::vector<ModuleRow>> Store::modules() {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query(fmt::format("SELECT {} FROM modules ORDER BY name", kModuleColumns)));
  std::vector<ModuleRow> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back(module_row(row));
  }
}

Status Store::write_generation(const GenerationRow& row) {
  // The time of its first appearance is kept.
  MS_CHECK(database_->run("INSERT INTO generations VALUES(?,?,?,?,?,?,?) ON CONFLICT(module, generation) DO UPDATE SET "
                          "version = excluded.version, digest = excluded.digest, manifest = excluded.manifest, "
                          "object_path = excluded.object_path",
                          row.module, row.generation, row.version, row.digest, row.manifest, row.object_path,
                          row.created_at.empty() ? now_text() : row.created_at));
  return {};
}

Status Store::put_generation(const GenerationRow& row) {
  const std::lock_guard lock(mutex_);
  MS_CHECK(write_generation(row));
  fresh_.erase(row.digest);
  return {};
}

Status Store::remove_generation(const std::string& module, uint64_t generation) {
  const std::lock_guard lock(mutex_);
  MS_TRY(const int64_t removed,
         database_->run("DELETE FROM generations WHERE module = ? AND generation = ?", module, generation));
  if (removed == 0) return fail(ErrorCode::kNotFound, fmt::format("the store knows no generation {} of {}", generation, module));
  return {};
}

Result<std::vector<GenerationRow>> Store::generations(const std::string& module) {
  const std::lock_guard lock(mutex_);
  MS_TRY(Statement row, database_->query("SELECT module, generation, version, digest, manifest, object_path, created_at "
                                         "FROM generations WHERE module = ? ORDER BY generation",
                                         module));
  std::vector<GenerationRow> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    out.push_back({row.text(0), static_cast<uint64_t>(row.integer(1)), row.text(2), row.text(3), row.text(4), row.text(5),
                   row.text(6)});
  }
}

}  // namespace mapshift::store
