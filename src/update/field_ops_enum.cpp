// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "update/field_ops.h"

namespace mapshift::update {

namespace {

const Enumerator* by_name(const Type& type, const std::string& name) {
  for (const Enumerator& e : type.enumerators)
    if (e.name == name) return &e;
  return nullptr;
}

// An enumerator of `type` which has that value and which `other` knows under another value.
const Enumerator* moved_onto(const Type& type, const Type& other, int64_t value) {
  for (const Enumerator& e : type.enumerators) {
    if (e.value != value) continue;
    const Enumerator* there = by_name(other, e.name);
    if (there != nullptr && there->value != value) return &e;
  }
  return nullptr;
}

}  // namespace

EnumMatch match_enums(const Type& old_enum, const Type& new_enum) {
  EnumMatch match;
  std::map<int64_t, int64_t> forward, backward;
  bool moved = false;
  for (const Enumerator& old_value : old_enum.enumerators) {
    const Enumerator* new_value = by_name(new_enum, old_value.name);
    if (new_value == nullptr) {
      if (const Enumerator* now = moved_onto(new_enum, old_enum, old_value.value))
        match.problem = fmt::format("{} is gone and its value {} now means {}", old_value.name, old_value.value, now->name);
      continue;
    }
    const auto [to, fresh] = forward.emplace(old_value.value, new_value->value);
    const auto [from, fresh_back] = backward.emplace(new_value->value, old_value.value);
    if ((!fresh && to->second != new_value->value) || (!fresh_back && from->second != old_value.value))
      match.problem = fmt::format("{} and another name share a value in one generation and not in the other", old_value.name);
    moved |= old_value.value != new_value->value;
  }
  if (!match.problem.empty() || !moved) return match;
  for (const auto& [from, to] : forward)
    if (from != to) match.remap.values.emplace_back(from, to);
  for (const Enumerator& added : new_enum.enumerators) {
    if (by_name(old_enum, added.name) != nullptr) continue;
    if (const Enumerator* then = moved_onto(old_enum, new_enum, added.value))
      match.warning = fmt::format("{} is new with value {}: the old generation would read it as {} after a rollback", added.name,
                                  added.value, then->name);
  }
  return match;
}

}  // namespace mapshift::update
