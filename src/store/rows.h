// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "update/record.h"

namespace mapshift::store {

// A module and its active generation.
struct ModuleRow {
  std::string name;
  uint64_t generation = 0;
  std::string version, digest;  // digest: lower-case hex SHA-256 of the object file
  std::string manifest;         // Manifest::text
  std::string object_path;
  std::string state;            // "loading", "active", "unloading": the caller's words
};

struct GenerationRow {
  std::string module;
  uint64_t generation = 0;
  std::string version, digest, manifest, object_path;
  std::string created_at = {};  // empty when written: now
};

struct NewUpdate {
  update::UpdateRecord record;  // `id` is given by the store; created_at and updated_at when empty
  std::string manifest, old_manifest;
  std::string idempotency_key = {};
};

struct StoredUpdate {
  update::UpdateRecord record;
  std::string manifest, old_manifest, idempotency_key;
  std::string intent;  // what was decided but is perhaps not done yet: "rollback", "commit", "abort", or empty
};

// A rollback that an alert ordered and that is not done yet.
struct OrderedAction {
  std::string update_id, reason;
};

// One step that was intended and, when `done_at` is not empty, completed.
struct JournalEntry {
  uint64_t sequence = 0;  // grows over all subjects
  std::string subject;    // an update's id, or any other name for work that must survive a crash
  std::string step;
  std::string detail;     // JSON, opaque here
  std::string intended_at, done_at;
  [[nodiscard]] bool done() const { return !done_at.empty(); }
};

}  // namespace mapshift::store
