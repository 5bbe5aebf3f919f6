// SPDX-License-Identifier: Apache-2.0
#include "store/stored_update.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/record_json.h"
#include "slo/indicator.h"

namespace mapshift::store {
namespace {

slo::Outcome outcome_of(std::string_view name) {
  for (const auto outcome : {slo::Outcome::kPass, slo::Outcome::kFail, slo::Outcome::kInconclusive})
    if (name == slo::name_of(outcome)) return outcome;
  return slo::Outcome::kError;
}

Result<update::UpdateRecord> parse_record(const Database& database, const std::string& id, const std::string& text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  auto record = json.is_discarded() ? Result<update::UpdateRecord>(fail(ErrorCode::kInvalid, "it is no JSON"))
                                    : config::update_from_json(json);
  if (!record)
    return fail(ErrorCode::kInvalid, fmt::format("{}: the record of update {} cannot be read ({}); {}", database.path(), id,
                                                 record.error().message, advice(database.path())));
  return record;
}

Status read_phases(Database& database, update::UpdateRecord& record) {
  record.phases.clear();
  MS_TRY(Statement row, database.query("SELECT phase, seconds FROM phases WHERE update_id = ? ORDER BY position", record.id));
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return {};
    record.phases.push_back({row.text(0), row.real(1).value_or(0)});
  }
}

Status read_measurements(Database& database, update::UpdateRecord& record) {
  record.measurements.clear();
  MS_TRY(Statement row, database.query("SELECT objective, at, value, \"limit\", outcome, message FROM measurements "
                                       "WHERE update_id = ? ORDER BY seq",
                                       record.id));
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return {};
    record.measurements.push_back({row.text(0), row.text(1), row.real(2), row.real(3), outcome_of(row.text(4)), row.text(5)});
  }
}

}  // namespace

Result<std::vector<StoredUpdate>> read_updates(Database& database, std::string_view where, const std::string& parameter,
                                               size_t limit) {
  MS_TRY(Statement row,
         database.query(fmt::format("SELECT id, record, manifest, old_manifest, idempotency_key, intent FROM updates {} LIMIT {}",
                                    where,
                                    std::min<size_t>(limit, INT64_MAX)),
                        parameter));
  std::vector<StoredUpdate> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    MS_TRY(update::UpdateRecord record, parse_record(database, row.text(0), row.text(1)));
    MS_CHECK(read_phases(database, record));
    MS_CHECK(read_measurements(database, record));
    out.push_back({std::move(record), row.text(2), row.text(3), row.text(4), row.text(5)});
  }
}

Result<std::vector<update::UpdateRecord>> read_heads(Database& database, const std::string& module, size_t limit) {
  MS_TRY(Statement row, database.query("SELECT id, record FROM updates WHERE module = ? ORDER BY seq DESC LIMIT ?", module,
                                       std::min<size_t>(limit, INT64_MAX)));
  std::vector<update::UpdateRecord> out;
  while (true) {
    MS_TRY(const bool found, row.step());
    if (!found) return out;
    MS_TRY(update::UpdateRecord record, parse_record(database, row.text(0), row.text(1)));
    MS_CHECK(read_phases(database, record));
    out.push_back(std::move(record));
  }
}

Status write_measurement(Database& database, const std::string& update_id, const slo::Measurement& measurement) {
  MS_CHECK(database.run("INSERT INTO measurements(update_id, objective, at, value, \"limit\", outcome, message) "
                        "VALUES(?,?,?,?,?,?,?)",
                        update_id, measurement.objective, measurement.at, measurement.value, measurement.limit,
                        slo::name_of(measurement.outcome), measurement.message));
  return {};
}

}  // namespace mapshift::store
