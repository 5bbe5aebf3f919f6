// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "update/manifest.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

// What the manifest says about a field: its own rule, or that of a structure around it.
struct EffectiveRule {
  std::optional<Merge> merge = {};
  std::optional<int64_t> default_value = {};
  std::string from = {};   // the field's whole path in the old layout
  bool from_exact = false; // the rule names this very field
};
[[nodiscard]] EffectiveRule rule_for(const Field& field, const std::map<std::string, FieldRule>& rules);

struct Match {
  std::vector<std::optional<size_t>> old_of_new;  // index into the old fields; nullopt: a new field
  std::vector<bool> old_used;
  std::vector<Problem> warnings, refusals;
};
// Pairs fields by path, by declared renames, and those that moved into or out of a structure: the same leaf name, unique on both
// sides, the same type. Never guesses.
[[nodiscard]] Match match_fields(const Layout& old_layout, const Layout& new_layout, const std::map<std::string, FieldRule>& rules,
                                 const std::string& where);

// "port" of "addr.port".
[[nodiscard]] std::string last_part(const std::string& path);

}  // namespace mapshift::update
