// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/type.h"

// Types as a C compiler would lay them out, for tests.
namespace mapshift::types {

inline TypeRef make(Type type) { return std::make_shared<const Type>(std::move(type)); }

inline TypeRef integer(uint32_t size, bool is_signed = false) {
  Type type;
  type.kind = TypeKind::kInt;
  type.name = "int";
  type.size = size;
  type.is_signed = is_signed;
  return make(std::move(type));
}
inline TypeRef u8() { return integer(1); }
inline TypeRef u16() { return integer(2); }
inline TypeRef u32() { return integer(4); }
inline TypeRef u64() { return integer(8); }
inline TypeRef s32() { return integer(4, true); }
inline TypeRef s64() { return integer(8, true); }

inline TypeRef scalar(TypeKind kind, std::string name, uint32_t size) {
  Type type;
  type.kind = kind;
  type.name = std::move(name);
  type.size = size;
  return make(std::move(type));
}
inline TypeRef boolean() {
  Type type = *integer(1);
  type.is_bool = true;
  return make(std::move(type));
}
inline TypeRef enumeration(std::string name, std::vector<Enumerator> values, uint32_t size = 4) {
  Type type = *scalar(TypeKind::kEnum, std::move(name), size);
  type.enumerators = std::move(values);
  return make(std::move(type));
}
inline TypeRef array(TypeRef element, uint32_t count) {
  Type type;
  type.kind = TypeKind::kArray;
  type.size = element->size * count;
  type.count = count;
  type.element = std::move(element);
  return make(std::move(type));
}

inline uint32_t alignment(const Type& type) {
  if (type.kind == TypeKind::kArray) return alignment(*type.element);
  if (type.kind != TypeKind::kStruct && type.kind != TypeKind::kUnion) return std::max(1U, std::min(type.size, 8U));
  uint32_t most = 1;
  for (const Member& member : type.members) most = std::max(most, alignment(*member.type));
  return most;
}

struct FieldOf {
  std::string name;
  TypeRef type;
  std::vector<std::string> tags = {};
};

inline TypeRef structure(std::string name, std::vector<FieldOf> fields, std::vector<std::string> tags = {}) {
  Type type;
  type.kind = TypeKind::kStruct;
  type.name = std::move(name);
  type.tags = std::move(tags);
  uint32_t at = 0, most = 1;
  for (FieldOf& field : fields) {
    const uint32_t align = alignment(*field.type);
    most = std::max(most, align);
    at = (at + align - 1) / align * align;
    const uint32_t size = field.type->size;
    type.members.push_back({std::move(field.name), at * 8, 0, std::move(field.type), std::move(field.tags)});
    at += size;
  }
  type.size = (at + most - 1) / most * most;
  return make(std::move(type));
}

inline TypeRef packed(std::string name, std::vector<FieldOf> fields) {
  Type type = *structure(std::move(name), std::move(fields));
  uint32_t at = 0;
  for (Member& member : type.members) {
    member.bit_offset = at * 8;
    at += member.type->size;
  }
  type.size = at;
  return make(std::move(type));
}

inline TypeRef union_of(std::string name, std::vector<FieldOf> fields) {
  Type type;
  type.kind = TypeKind::kUnion;
  type.name = std::move(name);
  for (FieldOf& field : fields) {
    type.size = std::max(type.size, field.type->size);
    type.members.push_back({std::move(field.name), 0, 0, std::move(field.type), std::move(field.tags)});
  }
  return make(std::move(type));
}

// Bit-fields in one unit of `unit` bytes.
inline TypeRef bit_structure(std::string name, uint32_t unit, const std::vector<std::pair<std::string, uint32_t>>& bits) {
  Type type;
  type.kind = TypeKind::kStruct;
  type.name = std::move(name);
  type.size = unit;
  uint32_t at = 0;
  for (const auto& [field, width] : bits) {
    type.members.push_back({field, at, width, integer(unit)});
    at += width;
  }
  return make(std::move(type));
}

}  // namespace mapshift::types
