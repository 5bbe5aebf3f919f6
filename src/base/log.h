// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>

namespace mapshift::log {

// One line to stderr for each change of state: "2026-01-01T00:00:00.000Z info update started update_id=u-000001".
// Values with spaces or quotes are quoted. Thread-safe. Nothing is logged that is also returned as an Error.
struct Field {
  std::string_view key;
  std::string value;
};
using Fields = std::initializer_list<Field>;

void init();  // idempotent
void debug(std::string_view message, Fields fields = {});
void info(std::string_view message, Fields fields = {});
void warn(std::string_view message, Fields fields = {});
void error(std::string_view message, Fields fields = {});

}  // namespace mapshift::log
