// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "store/database.h"

namespace mapshift::store {

// Opens the database file at `path`, creating it when it is not there, and brings its schema up to date. The file appears
// complete or not at all, so an empty or short one is always damage. Never replaces what it cannot read.
[[nodiscard]] Result<Database> open_database(const std::string& path, uint64_t max_bytes);

// The number of migrations: PRAGMA user_version of an up-to-date database.
[[nodiscard]] int64_t schema_version();

}  // namespace mapshift::store
