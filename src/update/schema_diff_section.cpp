// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff_section.h"

#include <memory>

namespace mapshift::update {

ValueLayout value_layout(const MapSpec& map) {
  if (map.section == DataSection::kNone || map.variables.empty()) return {map.value, map.value_size};
  auto section = std::make_shared<Type>();
  section->kind = TypeKind::kStruct;
  section->size = map.value_size;
  for (const Variable& variable : map.variables) {
    if (variable.offset > UINT32_MAX / 8) return {nullptr, map.value_size};
    TypeRef type = variable.type;
    if (!type) {
      auto bytes = std::make_shared<Type>();
      bytes->kind = TypeKind::kOpaque;
      bytes->size = variable.size;
      type = bytes;
    }
    Member member{variable.name, variable.offset * 8, 0, std::move(type), variable.tags};
    section->members.push_back(std::move(member));
  }
  return {section, map.value_size};
}

}  // namespace mapshift::update
