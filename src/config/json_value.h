// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace mapshift::config {

inline constexpr size_t kMaxDocumentBytes = 1 << 20;
inline constexpr size_t kMaxDepth = 64;

// One value of a JSON document that knows where it stood, so that a complaint can name the line.
struct JsonValue {
  enum class Kind : uint8_t { kNull, kBool, kSigned, kUnsigned, kFloat, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  bool boolean = false;
  bool substituted = false;  // the whole string was one $NAME: it may stand for a number or a boolean
  int64_t signed_number = 0;      // kSigned: negative
  uint64_t unsigned_number = 0;
  double real = 0;
  int line = 1;
  std::string text = {};
  std::vector<JsonValue> items = {};
  std::vector<std::pair<std::string, JsonValue>> members = {};  // in the document's order; keys are unique
  [[nodiscard]] JsonValue* find(std::string_view key);
};
[[nodiscard]] std::string_view to_string(JsonValue::Kind kind);

// Reads one JSON document from outside: at most 1 MiB and 64 levels; a key that stands twice in an object is an error, as
// is a NUL character in a string. kInvalid or kTooLarge; the message names file, line and column.
[[nodiscard]] Result<JsonValue> parse_json(std::string_view text, const std::string& file_name);
// On one line.
[[nodiscard]] std::string dump_json(const JsonValue& value);

}  // namespace mapshift::config
