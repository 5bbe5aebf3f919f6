// SPDX-License-Identifier: Apache-2.0
#include <set>

#include "update/schema_diff.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

namespace {

void add_field(const Field& field, std::set<std::string>& names) {
  names.insert(field.path);
  names.insert(field.aliases.begin(), field.aliases.end());
  for (size_t dot = field.path.find('.'); dot != std::string::npos; dot = field.path.find('.', dot + 1)) names.insert(field.path.substr(0, dot));
}

}  // namespace

std::vector<std::string> field_names(const ValueLayout& value) {
  std::set<std::string> names;
  for (const Field& field : read_layout(value.type, value.size, "").fields) {
    add_field(field, names);
    if (field.kind != FieldKind::kUnion) continue;
    size_t named = 0;
    for (const Member& member : field.type->members) {
      if (member.name.empty() || named >= field.aliases.size()) continue;
      for (const Field& leaf : read_union_member(member, field, field.aliases[named++], value.size, "").fields) add_field(leaf, names);
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace mapshift::update
