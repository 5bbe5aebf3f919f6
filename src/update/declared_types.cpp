// SPDX-License-Identifier: Apache-2.0
#include "update/declared_types.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/record_type.h"

namespace mapshift::update {

namespace {

struct Slot {  // the key or the value of one map
  const char* what;
  const std::string& name;
  uint32_t size;
  TypeRef& type;
};

class Declared {
 public:
  explicit Declared(const std::string& object_path) : path_(object_path) {}

  void apply(const std::string& map, const Slot& slot) {
    if (slot.name.empty()) return;
    const std::string where = fmt::format("maps.{}.types.{}", map, slot.what);
    const Result<TypeRef> found = read_record_type(path_, slot.name);
    if (!found) return problems_.push_back({"unknown-type", where, found.error().message});
    if ((*found)->size != slot.size) {
      return problems_.push_back({"type-size", where,
                                  fmt::format("{} has {} bytes, and the {}s of {} have {}: name the type that its programs use", slot.name,
                                              (*found)->size, slot.what, map, slot.size)});
    }
    if (slot.type && slot.type->kind != TypeKind::kOpaque) {
      const bool same = slot.type->kind == (*found)->kind && slot.type->name == (*found)->name;
      if (same) return;
      return problems_.push_back({"type-known", where,
                                  fmt::format("the object itself says what the {}s of {} are{}: \"types\" is for maps without type information",
                                              slot.what, map, slot.type->name.empty() ? "" : " (" + slot.type->name + ")")});
    }
    slot.type = *found;
  }

  std::vector<Problem> take() && { return std::move(problems_); }

 private:
  const std::string& path_;
  std::vector<Problem> problems_ = {};
};

}  // namespace

std::vector<Problem> apply_declared_types(const Manifest& manifest, const std::string& object_path, ObjectSpec& object) {
  Declared declared(object_path);
  for (const auto& [name, rule] : manifest.maps) {
    const auto map = std::ranges::find(object.maps, name, &MapSpec::name);
    if (map == object.maps.end()) continue;  // reported with the other names
    declared.apply(name, {"key", rule.key_type, map->key_size, map->key});
    declared.apply(name, {"value", rule.value_type, map->value_size, map->value});
  }
  return std::move(declared).take();
}

}  // namespace mapshift::update
