// SPDX-License-Identifier: Apache-2.0
#include "cli/render_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/render_moving.h"
#include "cli/table.h"
#include "kernel/instance_name.h"

namespace mapshift::cli {
namespace {

using namespace update;

std::string generation(const GenerationRef& ref) {
  return ref.generation == 0 ? std::string("nothing") : fmt::format("{} (generation {})", ref.version, ref.generation);
}

std::string render_fields(const std::vector<FieldRecord>& fields) {
  Table table({"FIELD", "CHANGE", "MERGE", "ORIGIN", "EXACT", "WHY"});
  for (const FieldRecord& field : fields) {
    const bool dropped = field.name.empty();
    const bool renamed = !dropped && !field.from.empty() && field.from != field.name;
    const std::string name = dropped ? field.from : renamed ? fmt::format("{} (was {})", field.name, field.from) : field.name;
    table.add({field.when.empty() ? name : fmt::format("{} (when {})", name, field.when), field.change.empty() ? "-" : field.change, field.merge.empty() ? "-" : field.merge,
               field.origin.empty() ? "-" : field.origin,
               dropped       ? "-"
               : field.exact ? "yes"
                             : "no",
               field.reason});
  }
  return table.empty() ? std::string() : table.text("    ");
}

// What follows a map's name.
std::string planned_map(const MapRecord& map) {
  const bool renamed = !map.from.empty() && base_name(map.from) != base_name(map.name);
  std::string out = renamed ? fmt::format(" (was {})", base_name(map.from)) : std::string();
  out += fmt::format(": {}{}{}{}\n", map.policy, map.reason.empty() ? "" : ", ", map.reason, map.lossy ? " [LOSSY]" : "");
  if (!map.klass.empty()) out += fmt::format("    class: {}{}{}\n", map.klass, map.klass_reason.empty() ? "" : ", ", map.klass_reason);
  for (const std::string& note : map.notes) out += fmt::format("    - {}\n", note);
  if (!map.changes.empty()) out += fmt::format("    changes: {}\n", map.changes);
  return out + render_fields(map.fields);
}

std::string verdict(const UpdateRecord& plan) {
  const bool lossy = std::ranges::any_of(plan.maps, &MapRecord::lossy);
  if (!plan.refusals.empty()) return "This update would be refused. Nothing has been changed.\n";
  if (lossy) return "This update loses state: it starts only with --allow-lossy. Nothing has been changed.\n";
  return "This update can be done. Nothing has been changed.\n";
}

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 8;
  if (names.size() <= kShown) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kShown, ", "), names.size() - kShown);
}

std::string render_generations(const UpdateRecord& record) { return generation(record.from) + " -> " + generation(record.to); }

std::string render_planned_maps(const UpdateRecord& record) {
  std::string out;
  std::vector<std::string> names;
  for (size_t i = 0; i < record.maps.size(); ++i) {
    const std::string body = planned_map(record.maps[i]);
    names.push_back(record.maps[i].name);
    // Each instance's own that go the same way are one entry.
    const bool more = i + 1 < record.maps.size() && base_name(record.maps[i + 1].name) == base_name(record.maps[i].name) &&
                      planned_map(record.maps[i + 1]) == body;
    if (!more) out += "  " + some_of(std::exchange(names, {})) + body;
  }
  return out.empty() ? out : "Maps\n" + out;
}

std::string render_planned_programs(const UpdateRecord& record) {
  std::vector<ProgramRecord> programs = record.programs;
  std::ranges::stable_sort(programs, {}, &ProgramRecord::order);
  Table table({"ORDER", "PROGRAM", "TYPE", "SWAP", "WHY"});
  for (const ProgramRecord& program : programs) {
    table.add(
        {std::to_string(program.order), program.name, program.type.empty() ? "-" : program.type, program.swap, program.reason});
  }
  const char* const heading = record.swap == "together" ? "Programs, swapped together\n" : "Programs, in the order of the swap\n";
  return table.empty() ? std::string() : heading + table.text("  ");
}

std::string render_problems(const std::string& heading, const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems)
    out += fmt::format("  - {}{}{}\n", problem.where, problem.where.empty() ? "" : ": ", problem.message);
  return out.empty() ? out : heading + "\n" + out;
}

std::string render_plan(const UpdateRecord& plan) {
  std::string out = fmt::format("Plan for {}: {}\n", plan.module, render_generations(plan));
  for (const std::string& part :
       {render_planned_maps(plan), render_planned_programs(plan), render_canary_plan(plan), render_problems("Warnings", plan.warnings),
        render_problems("Refused, because of", plan.refusals)}) {
    if (!part.empty()) out += "\n" + part;
  }
  return out + "\n" + verdict(plan);
}

}  // namespace mapshift::cli
