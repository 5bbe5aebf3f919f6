// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "update/field_ops.h"
#include "update/schema_diff.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

namespace {

const Field* find_path(const Layout& layout, const std::string& path) {
  for (const Field& field : layout.fields)
    if (field.path == path) return &field;
  return nullptr;
}

// One key field per machine-visible piece: byte arrays of the same length count as the same whatever their spelling.
std::string compare_place(const Field& a, const Field& b) {
  bool same = a.offset == b.offset && a.size == b.size && a.dims.size() == b.dims.size();
  for (size_t d = 0; same && d < a.dims.size(); ++d)
    same = a.dims[d].count == b.dims[d].count && a.dims[d].stride == b.dims[d].stride;
  if (!same)
    return fmt::format("{} ({} at byte {}) became {} ({} at byte {})", a.path, describe(a), a.offset, b.path, describe(b), b.offset);
  if (a.kind == FieldKind::kUnion && b.kind == FieldKind::kUnion && !same_bytes(a.type, b.type))
    return fmt::format("the union {} changed", a.path);
  if (a.kind == FieldKind::kBits || b.kind == FieldKind::kBits) {
    bool same_bits = a.bits.size() == b.bits.size();
    for (size_t i = 0; same_bits && i < a.bits.size(); ++i)
      same_bits = a.bits[i].bit_offset == b.bits[i].bit_offset && a.bits[i].bit_size == b.bits[i].bit_size;
    if (!same_bits) return fmt::format("the bit-fields {} changed", a.path);
  }
  if (a.kind == FieldKind::kEnum && b.kind == FieldKind::kEnum) {
    const EnumMatch match = match_enums(*a.type, *b.type);
    if (!match.problem.empty()) return match.problem;
    if (!match.remap.values.empty()) return fmt::format("values of enum {} moved", b.type->name);
  }
  return {};
}

std::vector<Field> by_offset(const Layout& layout) {
  std::vector<Field> fields = layout.fields;
  std::stable_sort(fields.begin(), fields.end(), [](const Field& a, const Field& b) { return a.offset < b.offset; });
  return fields;
}

std::string key_difference(const ValueLayout& old_key, const ValueLayout& new_key) {
  if (old_key.size != new_key.size) return fmt::format("the key's size changed from {} to {} bytes", old_key.size, new_key.size);
  if (!old_key.type && !new_key.type) return {};
  if (!old_key.type || !new_key.type)
    return fmt::format("the key has no type information (BTF) in the {} generation", old_key.type ? "new" : "old");
  const Layout before = read_layout(old_key.type, old_key.size, "key"), after = read_layout(new_key.type, new_key.size, "key");
  for (const Layout* layout : {&before, &after})
    if (!layout->problems.empty()) return layout->problems.front().message;
  // The same names in other places: the bytes look alike and mean something else.
  for (const Field& field : after.fields) {
    const Field* was = find_path(before, field.path);
    if (was != nullptr && was->offset != field.offset)
      return fmt::format("{} moved from byte {} to {} of the key", field.path, was->offset, field.offset);
  }
  const std::vector<Field> a = by_offset(before), b = by_offset(after);
  if (a.size() != b.size()) return fmt::format("the key has {} fields instead of {}", b.size(), a.size());
  for (size_t i = 0; i < a.size(); ++i)
    if (std::string why = compare_place(a[i], b[i]); !why.empty()) return why;
  return {};
}

}  // namespace

KeyDiff diff_keys(const ValueLayout& old_key, const ValueLayout& new_key) {
  KeyDiff diff;
  diff.reason = key_difference(old_key, new_key);
  diff.same = diff.reason.empty();
  return diff;
}

}  // namespace mapshift::update
