// SPDX-License-Identifier: Apache-2.0
#include "update/instances.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/instance_name.h"
#include "update/load_request.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

// The instances of one side of a plan. A module without instances is one instance without a name.
class Side {
 public:
  explicit Side(const GenerationInput& input)
      : names_(instance_names(input.manifest)), own_(instance_maps(input.manifest, input.object)), several_(!names_.empty()) {
    if (!several_) names_.emplace_back();
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] bool several() const { return several_; }
  [[nodiscard]] bool has(const std::string& instance) const { return std::ranges::find(names_, instance) != names_.end(); }
  // Whether each instance has its own.
  [[nodiscard]] bool divides(const std::string& map) const { return several_ && own_.contains(map); }

 private:
  std::vector<std::string> names_;
  std::set<std::string> own_;
  bool several_;
};

void begin_anew(MapPlan& map, const std::string& instance) {
  map.from.clear();
  map.sync.reset();
  map.policy = Policy::kReset;
  MapRecord fresh;
  fresh.name = map.record.name;
  fresh.type = map.record.type;
  fresh.klass = map.record.klass;
  fresh.klass_reason = map.record.klass_reason;
  fresh.policy = "reset";
  fresh.reason = instance.empty() ? "the module had instances before" : fmt::format("the instance \"{}\" is new in this generation", instance);
  map.record = std::move(fresh);
}

class Expansion {
 public:
  Expansion(const GenerationInput& old_side, const GenerationInput& next, Plan& plan)
      : old_(old_side), next_(next), first_load_(old_side.ref.generation == 0), plan_(plan) {}

  void run() {
    std::vector<MapPlan> all;
    for (const MapPlan& map : plan_.maps) {
      const bool divided = next_.divides(map.name), was = old_.divides(map.from);
      refuse_second(map, divided || was);
      if (!divided && !was) {
        all.push_back(map);
        continue;
      }
      if (!map.from.empty() && old_.several() && next_.several() && divided != was && map.policy != Policy::kReset) refuse(map, divided);
      if (divided) {
        for (const std::string& instance : next_.names()) all.push_back(one(map, instance, was));
      } else {
        all.push_back(one(map, "", was));
      }
      if (!map.from.empty()) tell_gone(map, divided, was);
    }
    plan_.maps = std::move(all);
  }

 private:
  [[nodiscard]] MapPlan one(const MapPlan& map, const std::string& instance, bool was) const {
    MapPlan out = map;
    out.name = out.record.name = instance_name(map.name, instance);
    if (map.from.empty() || first_load_) return out;
    const bool there = was || !old_.several() ? old_.has(instance) : true;
    if (!there) begin_anew(out, instance);
    else if (was) out.from = out.record.from = instance_name(map.from, instance);
    if (const SyncSecond* second = out.second(); second != nullptr && old_.divides(second->map)) {
      out.sync->transform->second->map = instance_name(second->map, instance);
    }
    return out;
  }

  void refuse(const MapPlan& map, bool divided) {
    plan_.refusals.push_back(
        {"sharing-changed", "maps." + map.name,
         divided ? fmt::format("{} was one map for all instances, and nobody knows what of it is whose: say \"policy\": \"reset\", or leave "
                               "\"per_instance\" out", map.name)
                 : fmt::format("{} was one map for each instance, and is to be one for all: say \"policy\": \"reset\", or keep \"per_instance\"", map.name)});
  }

  // One map for all cannot be built of one of many.
  void refuse_second(MapPlan map, bool each) {
    const SyncSecond* second = map.second();
    if (second == nullptr || each || !old_.divides(second->map)) return;
    plan_.refusals.push_back({"sharing-changed", "maps." + map.name + ".transform.with",
                              fmt::format("{} is one map for all instances, and each has its own {}: say \"per_instance\" of both or of none", map.name,
                                          second->map)});
  }

  void tell_gone(const MapPlan& map, bool divided, bool was) {
    if (map.policy == Policy::kReset || map.policy == Policy::kRefuse) return;
    for (const std::string& instance : old_.names()) {
      const bool goes_on = divided ? next_.has(instance) : instance.empty();
      if (goes_on || !(was || !old_.several())) continue;
      const std::string name = instance_name(map.from, instance);
      plan_.warnings.push_back({"map-dropped", "maps." + name,
                                fmt::format("{} has no successor, since its instance is not in the new generation: its state is gone after the commit "
                                            "(a rollback before still has it)", name)});
    }
  }

  Side old_, next_;
  bool first_load_;
  Plan& plan_;
};

// Every map that the code of a program refers to, and that of those which it calls in turn.
std::set<std::string> reached_maps(const Manifest& manifest, const ObjectSpec& object, const ProgramSpec& program) {
  std::set<std::string> maps, seen;
  std::vector<const FunctionSpec*> open{&program.code};
  const auto visit = [&](const std::string& name, const FunctionSpec* code) {
    if (code != nullptr && seen.insert(name).second) open.push_back(code);
  };
  while (!open.empty()) {
    const FunctionSpec* code = open.back();
    open.pop_back();
    for (const Reloc& reloc : code->relocs) {
      switch (reloc.kind) {
        case Reloc::Kind::kMap:
        case Reloc::Kind::kVariable: maps.insert(reloc.symbol); break;
        case Reloc::Kind::kCall:
        case Reloc::Kind::kCallback: {
          const auto called = object.subprograms.find(reloc.symbol);
          visit(reloc.symbol, called == object.subprograms.end() ? nullptr : &called->second);
          break;
        }
        case Reloc::Kind::kExtern: break;
      }
      const auto slots = manifest.prog_arrays.find(reloc.symbol);
      if (slots == manifest.prog_arrays.end()) continue;
      for (const auto& [slot, name] : slots->second) {
        const ProgramSpec* next = find_program(object, name);
        visit(name, next == nullptr ? nullptr : &next->code);
      }
    }
  }
  return maps;
}

}  // namespace

std::vector<std::string> instance_names(const Manifest& manifest) {
  std::vector<std::string> names;
  for (const auto& own : manifest.instances) {
    const auto name = own.find("name");
    names.push_back(name == own.end() ? std::to_string(names.size()) : name->second);
  }
  return names;
}

std::set<std::string> instance_programs(const Manifest& manifest) {
  std::set<std::string> programs;
  for (const auto& [name, rule] : manifest.programs)
    if (const std::string_view base = base_name(name); base != name) programs.emplace(base);
  return programs;
}

std::set<std::string> instance_maps(const Manifest& manifest, const ObjectSpec& object) {
  std::set<std::string> maps;
  if (manifest.instances.empty()) return maps;
  for (const MapSpec& map : object.maps) {
    const auto rule = manifest.maps.find(map.name);
    const bool own = rule != manifest.maps.end() && rule->second.per_instance;
    if (own || map.type == MapType::kProgArray) maps.insert(map.name);
  }
  return maps;
}

Status check_own_map(const Manifest& manifest, const ObjectSpec& object, const std::string& full) {
  const std::string map(base_name(full));
  if (map == full) return {};
  if (!instance_maps(manifest, object).contains(map)) {
    return fail(ErrorCode::kNotFound, fmt::format("no instance has a {} of its own: name it {}, or set \"per_instance\" of the map", map, map));
  }
  const std::string instance = full.substr(map.size() + 1);
  const std::vector<std::string> names = instance_names(manifest);
  if (std::ranges::find(names, instance) != names.end()) return {};
  return fail(ErrorCode::kNotFound, fmt::format("there is no instance \"{}\": the module's are {}", instance, fmt::join(names, ", ")));
}

std::vector<Problem> check_instances(const Manifest& manifest, const ObjectSpec& object) {
  std::vector<Problem> problems;
  if (manifest.instances.empty()) return problems;
  const std::set<std::string> own = instance_maps(manifest, object);
  const std::set<std::string> often = instance_programs(manifest);
  const auto attached = attachments(manifest, object);
  for (const ProgramSpec& program : object.programs) {
    if (often.contains(program.name) || !attached || !attached->contains(program.name)) continue;
    for (const std::string& name : reached_maps(manifest, object, program)) {
      const MapSpec* map = find_map(object, name);
      if (!own.contains(name) || map == nullptr || map->type == MapType::kProgArray) continue;
      problems.push_back({"shared-program", "programs." + program.name,
                          fmt::format("{} is attached once and uses {}, of which each instance has its own: leave \"per_instance\" out, or attach it "
                                      "once for each instance", program.name, name)});
    }
  }
  for (const auto& [name, rule] : manifest.programs)
    if (base_name(name) != name && rule.attach && rule.attach->trace.overlap)
      problems.push_back({"overlap-instances", "programs." + name, fmt::format("{} has one gate, so that it cannot be attached once for each instance", base_name(name))});
  for (const auto& [name, rule] : manifest.ringbufs)
    if (own.contains(name))
      problems.push_back({"ring-instances", "ringbufs." + name, "the agent reads one ring buffer for all instances: leave \"per_instance\" out"});
  return problems;
}

GenerationInput with_instances(const GenerationInput& side) {
  GenerationInput out = side;
  const std::set<std::string> often = instance_programs(side.manifest);
  if (often.empty()) return out;
  out.object.programs.clear();
  for (const ProgramSpec& program : side.object.programs) {
    if (!often.contains(program.name)) {
      out.object.programs.push_back(program);
      continue;
    }
    ProgramSpec one = program;
    one.code = {};  // nobody who plans programs looks at it
    for (const std::string& instance : instance_names(side.manifest)) {
      one.name = instance_name(program.name, instance);
      const auto rule = side.manifest.programs.find(one.name);
      if (rule != side.manifest.programs.end() && rule->second.attach) out.object.programs.push_back(one);
    }
  }
  return out;
}

void expand_maps(const GenerationInput& old_side, const GenerationInput& next, Plan& plan) { Expansion(old_side, next, plan).run(); }

void check_moves(Plan& plan) {
  for (const ProgramPlan& gone : plan.programs) {
    if (gone.swap != ProgramPlan::Swap::kDetach) continue;
    for (const ProgramPlan& fresh : plan.programs) {
      if (fresh.swap != ProgramPlan::Swap::kAttach || base_name(fresh.name) != base_name(gone.name) || !(fresh.attach == gone.attach)) continue;
      plan.refusals.push_back({"instance-renamed", "programs." + fresh.name,
                               fmt::format("{} would take the place of {}, which runs there: give the instance the name that it had (\"name\": \"\" where the "
                                           "module had no instances)", fresh.name, gone.name)});
    }
  }
}

}  // namespace mapshift::update
