// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernel/object_file.h"
#include "update/inference.h"

namespace mapshift::update {

inline ObjectSpec read_fixture(const std::string& name) {
  auto out = read_object_file(std::string(FIXTURES) + "/inspect_" + name + ".bpf.o");
  EXPECT_TRUE(out) << (out ? "" : out.error().message);
  return out ? std::move(*out) : ObjectSpec{};
}

inline const MapSpec* map_named(const ObjectSpec& object, const std::string& name) {
  for (const auto& map : object.maps) {
    if (map.name == name) return &map;
  }
  return nullptr;
}

// Finds "slot[1].hits" in a layout: offset and size, or size 0.
inline std::pair<uint32_t, uint32_t> field_at(const Type& type, const std::string& path, uint32_t offset = 0) {
  const auto end = path.find_first_of(".[");
  const std::string name = path.substr(0, end);
  for (const auto& member : type.members) {
    if (member.name != name) continue;
    const uint32_t at = offset + member.bit_offset / 8;
    if (end == std::string::npos) return {at, member.type->size};
    if (path[end] == '.') return field_at(*member.type, path.substr(end + 1), at);
    const auto close = path.find(']');
    const uint32_t element = at + static_cast<uint32_t>(std::stoul(path.substr(end + 1))) * member.type->element->size;
    if (close + 1 == path.size()) return {element, member.type->element->size};
    return field_at(*member.type->element, path.substr(close + 2), element);
  }
  return {0, 0};
}

// "sum atomic", "latest warn", "first", "-": the merge of a field that both generations treat as `facts` say.
inline std::string words(const std::optional<InferredMerge>& merge) {
  if (!merge) return "-";
  constexpr const char* kNames[] = {"sum", "latest", "max", "min", "or", "first"};
  const bool counts = merge->merge == Merge::kSum || merge->merge == Merge::kOr;
  return std::string(kNames[static_cast<int>(merge->merge)]) + (counts ? (merge->atomic ? " atomic" : " plain") : "") +
         (merge->warn ? " warn" : "");
}

inline std::optional<InferredMerge> merge_of(const CodeFacts& facts, const ObjectSpec& object, const std::string& map,
                                             const std::string& path) {
  const MapSpec* spec = map_named(object, map);
  EXPECT_TRUE(spec != nullptr && spec->value) << map;
  if (spec == nullptr || !spec->value) return std::nullopt;
  const auto [offset, size] = path.empty() ? std::pair<uint32_t, uint32_t>{0, spec->value_size} : field_at(*spec->value, path);
  EXPECT_NE(size, 0U) << path;
  return infer_merge(facts, map, facts, map, offset, size, offset, size);
}

inline const MapAccess* access_of(const CodeFacts& facts, const std::string& program, const std::string& map) {
  for (const auto& access : facts.maps) {
    if (access.program == program && access.map == map) return &access;
  }
  return nullptr;
}

}  // namespace mapshift::update
