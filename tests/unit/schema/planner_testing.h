// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "diff_testing.h"
#include "update/planner.h"

namespace mapshift::update {

inline MapSpec map_of(std::string name, MapType type, TypeRef key, TypeRef value, uint32_t entries = 100) {
  MapSpec map;
  map.name = std::move(name);
  map.type = type;
  map.key_size = key ? key->size : 4;
  map.value_size = value ? value->size : 8;
  map.max_entries = entries;
  map.key = std::move(key);
  map.value = std::move(value);
  return map;
}
inline MapSpec section_of(std::string name, DataSection section, std::vector<FieldOf> variables) {
  const TypeRef type = structure(name, std::move(variables));
  MapSpec map = map_of(std::move(name), MapType::kArray, u32(), nullptr, 1);
  map.section = section;
  map.value_size = type->size;
  for (const Member& member : type->members)
    map.variables.push_back({member.name, member.bit_offset / 8, member.type->size, member.type, member.tags});
  return map;
}
inline ProgramSpec program_of(std::string name, uint32_t type = 6) {
  ProgramSpec program;
  program.name = std::move(name);
  program.type = type;
  return program;
}
inline AttachSpec xdp(std::string interface) {
  AttachSpec attach;
  attach.type = "xdp";
  attach.interface = std::move(interface);
  return attach;
}

inline TypeRef v1() { return structure("flow", {{"packets", u32(), {"mapshift:merge=sum"}}, {"state", u32()}}); }
inline TypeRef v2() { return structure("flow", {{"state", u32()}, {"packets", u64(), {"mapshift:merge=sum"}}}); }

// Two generations to be changed by a test, and the plan between them.
struct Two {
  GenerationInput before, after;
  PlannerEnvironment env;

  Two() {
    before.ref = {1, "1.0.0"};
    after.ref = {2, "2.0.0"};
    before.manifest.name = after.manifest.name = "meter";
  }
  void maps(MapSpec a, MapSpec b) {
    before.object.maps.push_back(std::move(a));
    after.object.maps.push_back(std::move(b));
  }
  [[nodiscard]] Plan plan() const { return make_plan(before, after, env); }
};

inline const MapPlan& map_plan(const Plan& plan, const std::string& name) {
  for (const MapPlan& map : plan.maps)
    if (map.name == name) return map;
  throw std::runtime_error("no plan for " + name);
}

}  // namespace mapshift::update
