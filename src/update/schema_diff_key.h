// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "update/field_ops.h"
#include "update/schema_diff.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

// Which bytes of a key mean something, and where its pieces begin.
struct KeyPieces {
  std::vector<bool> used;    // by byte: not padding
  std::vector<bool> bytes;   // by byte: within an array of bytes, which may be cut anywhere
  std::set<uint32_t> cuts;
  bool plain = true;         // integers and bytes only
};
[[nodiscard]] KeyPieces pieces_of(const Layout& layout, uint32_t size);

struct KeyConversion {
  const Layout* before = nullptr;
  const Layout* after = nullptr;
  const ValueLayout& old_key;
  const ValueLayout& new_key;
  const std::string& where;
  const std::map<std::string, FieldRule>& rules;
};
// Fills in how keys of the old layout become keys of the new one, field by field, or why they cannot.
void convert_key(const KeyConversion& keys, KeyDiff& out);

}  // namespace mapshift::update
