// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "type_builder.h"
#include "update/schema_diff.h"

namespace mapshift::update {

using namespace mapshift::types;

inline SchemaDiff diff(TypeRef before, TypeRef after, std::map<std::string, FieldRule> rules = {}) {
  return diff_values({"maps.m", {before, before->size}, {after, after->size}, std::move(rules)});
}
inline const FieldRecord* field(const SchemaDiff& d, const std::string& name) {
  for (const FieldRecord& f : d.fields)
    if (f.name == name || (f.name.empty() && f.from == name)) return &f;
  return nullptr;
}
inline std::vector<std::string> codes(const std::vector<Problem>& problems) {
  std::vector<std::string> all;
  for (const Problem& p : problems) all.push_back(p.code);
  return all;
}
inline std::string messages(const std::vector<Problem>& problems) {
  std::string all;
  for (const Problem& p : problems) all += p.where + ": " + p.message + "\n";
  return all;
}

}  // namespace mapshift::update
