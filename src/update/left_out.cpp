// SPDX-License-Identifier: Apache-2.0
#include "update/left_out.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "kernel/instance_name.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

std::set<std::string> asked_for(const Manifest& manifest) {
  std::set<std::string> out(manifest.optional_programs.begin(), manifest.optional_programs.end());
  for (const auto& [name, rule] : manifest.programs) out.emplace(base_name(name));
  for (const auto& [map, slots] : manifest.prog_arrays)
    for (const auto& [slot, program] : slots) out.insert(program);
  return out;
}

// Where each program array has it that the manifest fills.
std::map<std::string, std::string> slots_of(const Manifest& manifest) {
  std::map<std::string, std::string> out;
  for (const auto& [map, slots] : manifest.prog_arrays)
    for (const auto& [slot, program] : slots) out.emplace(program, "prog_arrays." + map + "." + std::to_string(slot));
  return out;
}

// The table of functions that brings it along, by function.
std::map<std::string, std::string> tables_of(const ObjectSpec& object) {
  std::map<std::string, std::string> out;
  for (const ProgramSpec& program : object.programs) {
    if (!program.table) continue;
    for (const std::string& function : program.table->programs) out.emplace(function, program.name);
  }
  return out;
}

}  // namespace

std::vector<Problem> leave_out(Manifest& manifest, ObjectSpec& object) {
  std::vector<Problem> problems;
  const std::set<std::string> asked = asked_for(manifest);
  const auto tables = tables_of(object);
  for (const ProgramSpec& program : object.programs) {
    const bool unasked = program.on_demand && !asked.contains(program.name) && !tables.contains(program.name);
    if (unasked) manifest.programs[program.name].load = false;
  }
  std::vector<std::string> known;
  for (const ProgramSpec& program : object.programs) known.push_back(program.name);
  const auto slots = slots_of(manifest);
  for (const auto& [name, rule] : manifest.programs) {
    if (rule.load) continue;
    const std::string base(base_name(name)), where = "programs." + name;
    const ProgramSpec* program = find_program(object, base);
    if (program == nullptr) {
      problems.push_back(unknown_name("program", base, "the object", where, known));
    } else if (program->table) {
      problems.push_back({"cannot-leave-out", where, base + " is a table of functions, which the object brings along: it cannot be left out"});
    } else if (const auto table = tables.find(base); table != tables.end()) {
      problems.push_back({"cannot-leave-out", where, base + " is a function of the table " + table->second + ", which loads it: it cannot be left out"});
    } else if (const auto slot = slots.find(base); slot != slots.end()) {
      problems.push_back({"cannot-leave-out", where, base + " is left out (\"load\": false), but " + slot->second + " names it"});
    }
  }
  std::erase_if(object.programs, [&](const ProgramSpec& program) {
    const auto rule = manifest.programs.find(program.name);
    return rule != manifest.programs.end() && !rule->second.load && !program.table && !slots.contains(program.name) &&
           !tables.contains(program.name);
  });
  return problems;
}

}  // namespace mapshift::update
