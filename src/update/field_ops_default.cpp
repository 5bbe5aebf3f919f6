// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "update/field_ops.h"

namespace mapshift::update {

namespace {

bool fits(const Field& field, int64_t value) {
  if (field.kind == FieldKind::kBool) return value == 0 || value == 1;
  if (field.size == 8) return true;
  const int64_t span = int64_t{1} << (field.size * 8 - (field.is_signed ? 1 : 0));
  return value < span && value >= (field.is_signed ? -span : 0);
}

}  // namespace

DefaultOps make_defaults(const Field& whole, int64_t value) {
  const Field field = as_elements(whole);
  const bool integer = field.kind == FieldKind::kInt || field.kind == FieldKind::kBool || field.kind == FieldKind::kEnum;
  if (!integer) return {{}, fmt::format("{} is {}: a default is for integers", field.path, describe(whole))};
  if (!fits(field, value)) return {{}, fmt::format("the default {} does not fit into {}", value, describe(field))};
  DefaultOps out;
  if (value == 0 || extent(field) + field.offset > kMaxSyncValueSize) return out;
  const uint64_t mask = field.size == 8 ? UINT64_MAX : (uint64_t{1} << (field.size * 8)) - 1;
  for (const auto& [offset, same] : element_offsets(field, field))
    out.defaults.push_back({static_cast<uint16_t>(offset), static_cast<uint8_t>(field.size), static_cast<uint64_t>(value) & mask});
  return out;
}

std::vector<std::pair<uint32_t, uint32_t>> element_offsets(const Field& a, const Field& b) {
  std::vector<std::pair<uint32_t, uint32_t>> spots{{a.offset, b.offset}};
  for (size_t d = 0; d < a.dims.size() && a.dims.size() == b.dims.size(); ++d) {
    std::vector<std::pair<uint32_t, uint32_t>> next;
    for (const auto& [x, y] : spots)
      for (uint32_t i = 0; i < std::min(a.dims[d].count, b.dims[d].count); ++i)
        next.emplace_back(x + i * a.dims[d].stride, y + i * b.dims[d].stride);
    spots = std::move(next);
  }
  return spots;
}

}  // namespace mapshift::update
