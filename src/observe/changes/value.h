// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "kernel/type.h"

namespace mapshift::observe::changes {

// Bytes as their type reads them: a tree of plain values that any text format can show.
struct Value {
  using List = std::vector<Value>;
  using Object = std::vector<std::pair<std::string, Value>>;  // in the type's order
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, List, Object> is = {};
};

inline constexpr size_t kMaxValueNodes = 16384;  // of one record
inline constexpr size_t kMaxRecordBytes = 64 * 1024;

// Pure. Arrays of char are text to the first NUL, of which bytes that are no UTF-8 become U+FFFD; arrays of bytes, unions and
// what has no type are hexadecimal digits; pointers "0x..."; an enumerator's name, or its number where it has none.
// kInvalid: `bytes` are not exactly the type's size. kTooLarge: beyond the limits above.
[[nodiscard]] Result<Value> decode(const Type& type, std::span<const std::byte> bytes);

}  // namespace mapshift::observe::changes
