// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "update/schema_diff.h"
#include "update/schema_diff_key.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_match.h"

namespace mapshift::update {

namespace {

constexpr uint32_t kMaxComparedKey = 4096;  // bytes that are compared one by one

// A field of the old key that goes by this name: the same path, or the same leaf where that is unique.
const Field* find_named(const Layout& layout, const Layout& other, const Field& field) {
  const std::string leaf = last_part(field.path);
  const Field* by_leaf = nullptr;
  size_t leaves = 0;
  for (const Field& candidate : layout.fields) {
    if (candidate.path == field.path) return &candidate;
    if (last_part(candidate.path) != leaf) continue;
    by_leaf = &candidate;
    ++leaves;
  }
  const auto same_leaf = [&](const Field& f) { return last_part(f.path) == leaf; };
  const bool unique = leaves == 1 && std::count_if(other.fields.begin(), other.fields.end(), same_leaf) == 1;
  return unique ? by_leaf : nullptr;
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

std::string compare_fields(const Layout& before, const Layout& after) {
  const std::vector<Field> a = by_offset(before), b = by_offset(after);
  if (a.size() != b.size()) return fmt::format("the key has {} fields instead of {}", b.size(), a.size());
  for (size_t i = 0; i < a.size(); ++i)
    if (std::string why = compare_place(a[i], b[i]); !why.empty()) return why;
  return {};
}

// The same bytes, cut in another way: an address as 16 bytes or as four words, inside of a structure or not.
bool same_pieces(const Layout& before, const Layout& after, uint32_t size) {
  const KeyPieces a = pieces_of(before, size), b = pieces_of(after, size);
  return a.plain && b.plain && a.used == b.used &&
         std::ranges::all_of(a.cuts, [&](uint32_t cut) { return b.cuts.contains(cut) || b.bytes.at(cut); }) &&
         std::ranges::all_of(b.cuts, [&](uint32_t cut) { return a.cuts.contains(cut) || a.bytes.at(cut); });
}

std::string key_difference(const ValueLayout& old_key, const ValueLayout& new_key, const Layout& before, const Layout& after) {
  if (old_key.size != new_key.size) return fmt::format("the key's size changed from {} to {} bytes", old_key.size, new_key.size);
  if (!old_key.type && !new_key.type) return {};
  if (!old_key.type || !new_key.type)
    return fmt::format("the key has no type information (BTF) in the {} generation", old_key.type ? "new" : "old");
  for (const Layout* layout : {&before, &after})
    if (!layout->problems.empty()) return layout->problems.front().message;
  // The same names in other places: the bytes look alike and mean something else.
  for (const Field& field : after.fields) {
    const Field* was = find_named(before, after, field);
    if (was != nullptr && was->offset != field.offset)
      return fmt::format("{} moved from byte {} to {} of the key", field.path, was->offset, field.offset);
  }
  const std::string why = compare_fields(before, after);
  return !why.empty() && old_key.size <= kMaxComparedKey && same_pieces(before, after, old_key.size) ? std::string() : why;
}

}  // namespace

KeyPieces pieces_of(const Layout& layout, uint32_t size) {
  KeyPieces out;
  out.used.resize(size);
  out.bytes.resize(size);
  for (const Field& field : layout.fields) {
    out.plain &= field.kind == FieldKind::kInt || field.kind == FieldKind::kBytes;
    std::vector<uint32_t> starts{field.offset};
    for (const Dimension& dim : field.dims) {
      std::vector<uint32_t> next;
      for (const uint32_t start : starts)
        for (uint32_t i = 0; i < dim.count && next.size() <= size; ++i) next.push_back(start + i * dim.stride);
      starts = std::move(next);
    }
    for (const uint32_t start : starts) {
      out.cuts.insert(start);
      for (uint32_t at = start; at < start + field.size && at < size; ++at) {
        out.used[at] = true;
        out.bytes[at] = field.kind == FieldKind::kBytes && at != start;
      }
    }
  }
  return out;
}

KeyDiff diff_keys(const ValueLayout& old_key, const ValueLayout& new_key, const std::string& where,
                  const std::map<std::string, FieldRule>& rules) {
  KeyDiff diff;
  const Layout before = read_layout(old_key.type, old_key.size, where), after = read_layout(new_key.type, new_key.size, where);
  diff.reason = key_difference(old_key, new_key, before, after);
  diff.same = diff.reason.empty();
  if (!diff.same) convert_key({&before, &after, old_key, new_key, where, rules}, diff);
  return diff;
}

}  // namespace mapshift::update
