// SPDX-License-Identifier: Apache-2.0
#include "update/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "kernel/instance_name.h"
#include "update/schema_diff.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_section.h"

namespace mapshift::update {

namespace {

constexpr size_t kMaxNameLength = 256;
// Letters of one name times letters of its candidates: a thousand wrong names among a thousand fields must not take minutes.
constexpr size_t kMaxCompared = 1U << 18;

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row.back();
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> program_names(const ObjectSpec& object) {
  std::vector<std::string> names;
  for (const ProgramSpec& program : object.programs) names.push_back(program.name);
  return names;
}

std::vector<std::string> constants(const ObjectSpec& object) {
  std::vector<std::string> names;
  for (const MapSpec& map : object.maps)
    if (map.section == DataSection::kRodata)
      for (const Variable& variable : map.variables) names.push_back(variable.name);
  return names;
}

// The kernel makes the others only with a number of entries, and libbpf knows none for them.
constexpr std::array<MapType, 8> kWithoutEntries{MapType::kPerfEventArray, MapType::kCgroupStorage, MapType::kPercpuCgroupStorage, MapType::kSkStorage,
                                                 MapType::kInodeStorage, MapType::kTaskStorage, MapType::kCgrpStorage, MapType::kStructOps};

bool wants_entries(MapType type) {
  return type != MapType::kUnspec && type <= MapType::kArena && std::ranges::find(kWithoutEntries, type) == kWithoutEntries.end();
}

class Check {
 public:
  Check(const Manifest& manifest, const ObjectSpec& object)
      : manifest_(manifest), object_(object), maps_(map_names(object)), programs_(program_names(object)), constants_(constants(object)) {}

  std::vector<Problem> run() && {
    for (const auto& [name, rule] : manifest_.programs)
      if (base_name(name) == name && rule.load) expect("program", name, "programs." + name, programs_);  // instances have what this has
    for (const auto& [name, rule] : manifest_.programs)
      if (rule.attach && !rule.attach->map.empty()) expect("map", rule.attach->map, "programs." + name + ".attach.map", maps_);
    for (const std::string& name : manifest_.optional_programs) {
      const auto rule = manifest_.programs.find(name);
      if (rule == manifest_.programs.end() || rule->second.load) expect("program", name, "optional", programs_);  // leave_out() looks at the others
    }
    for (const auto& [name, rule] : manifest_.maps) check_map(name, rule);
    for (const MapSpec& map : object_.maps) check_size(map);
    for (const auto& [name, rule] : manifest_.ringbufs) check_ring(name);
    for (const auto& [name, value] : manifest_.rodata)
      expect("constant variable", name, "rodata." + name, constants_);
    for (const auto& [name, slots] : manifest_.prog_arrays) check_prog_array(name, slots);
    return std::move(problems_);
  }

 private:
  bool expect(std::string_view what, const std::string& name, std::string where, const std::vector<std::string>& known) {
    if (has(known, name)) return true;
    problems_.push_back(unknown_name(what, name, "the object", std::move(where), known));
    return false;
  }

  void check_ring(const std::string& name) {
    const std::string where = "ringbufs." + name;
    if (!expect("map", name, where, maps_)) return;
    const MapSpec& map = *find_map(object_, name);
    if (is_change_log(name)) problems_.push_back({"not-a-ring", where, name + " is the agent's own: what it logs is watched through changes.maps"});
    else if (map.type != MapType::kRingbuf) problems_.push_back({"not-a-ring", where, name + " is of type " + to_string(map.type) + ", not a ring buffer"});
  }

  void check_map(const std::string& name, const MapRule& rule) {
    const std::string where = "maps." + name;
    if (!expect("map", name, where, maps_) || rule.fields.empty()) return;
    const MapSpec& map = *find_map(object_, name);
    const std::vector<std::string> known = field_names(value_layout(map));
    for (const auto& [field, field_rule] : rule.fields) {
      if (has(known, field)) continue;
      problems_.push_back(unknown_name("field", field, "map " + name, fmt::format("{}.fields.{}", where, field), known));
    }
  }

  // Loaders of their own set sizes that they take from their command lines; here the manifest does.
  void check_size(const MapSpec& map) {
    const auto rule = manifest_.maps.find(map.name);
    const uint32_t entries = rule != manifest_.maps.end() ? rule->second.max_entries.value_or(map.max_entries) : map.max_entries;
    if (entries != 0 || map.section != DataSection::kNone || !wants_entries(map.type)) return;
    problems_.push_back({"no-max-entries", "maps." + map.name,
                         fmt::format("{} has no max_entries in the object: give it some in the manifest, \"maps\": {{\"{}\": {{\"max_entries\": 1024}}}}",
                                     map.name, map.name)});
  }

  void check_prog_array(const std::string& name, const std::map<uint32_t, std::string>& slots) {
    const std::string where = "prog_arrays." + name;
    if (!expect("map", name, where, maps_)) return;
    const MapSpec& map = *find_map(object_, name);
    if (map.type != MapType::kProgArray)
      problems_.push_back({"wrong-map-type", where, fmt::format("{} is a {} map, not a prog_array", name, to_string(map.type))});
    const auto rule = manifest_.maps.find(name);
    const uint32_t size = rule != manifest_.maps.end() ? rule->second.max_entries.value_or(map.max_entries) : map.max_entries;
    for (const auto& [slot, program] : slots) {
      expect("program", program, fmt::format("{}.{}", where, slot), programs_);
      if (slot >= size)
        problems_.push_back({"slot-out-of-range", fmt::format("{}.{}", where, slot),
                             fmt::format("slot {} does not exist: {} has {} entries", slot, name, size)});
    }
  }

  const Manifest& manifest_;
  const ObjectSpec& object_;
  std::vector<std::string> maps_, programs_, constants_;
  std::vector<Problem> problems_ = {};
};

}  // namespace

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  if (name.size() > kMaxNameLength) return best;
  size_t best_distance = std::max<size_t>(name.size() / 2, 2) + 1, compared = 0;
  for (const std::string& candidate : candidates) {
    const size_t longer = std::max(candidate.size(), name.size()), shorter = std::min(candidate.size(), name.size());
    if (candidate.size() > kMaxNameLength || longer - shorter >= best_distance) continue;
    compared += name.size() * candidate.size();
    if (compared > kMaxCompared) break;
    const size_t distance = edit_distance(name, candidate);
    if (distance < best_distance && distance < std::max(name.size(), candidate.size())) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

Problem unknown_name(std::string_view what, std::string_view name, std::string_view container, std::string where,
                     const std::vector<std::string>& candidates) {
  const std::string close = nearest(name, candidates);
  std::string message = fmt::format("there is no {} \"{}\" in {}", what, name, container);
  if (!close.empty()) message += fmt::format(": did you mean \"{}\"?", close);
  return {"unknown-name", std::move(where), std::move(message)};
}

const MapSpec* find_map(const ObjectSpec& object, std::string_view name) {
  for (const MapSpec& map : object.maps)
    if (map.name == name) return &map;
  return nullptr;
}

const ProgramSpec* find_program(const ObjectSpec& object, std::string_view name) {
  for (const ProgramSpec& program : object.programs)
    if (program.name == name) return &program;
  return nullptr;
}

std::vector<std::string> map_names(const ObjectSpec& object) {
  std::vector<std::string> names;
  for (const MapSpec& map : object.maps) names.push_back(map.name);
  return names;
}

std::vector<Problem> check_names(const Manifest& manifest, const ObjectSpec& object) { return Check(manifest, object).run(); }

}  // namespace mapshift::update
