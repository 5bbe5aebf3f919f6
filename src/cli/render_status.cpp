// SPDX-License-Identifier: Apache-2.0
#include "cli/render_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "base/clock.h"
#include "cli/render_plan.h"
#include "cli/render_moving.h"
#include "cli/table.h"
#include "kernel/instance_name.h"

namespace mapshift::cli {
namespace {

using namespace update;

// Of the maps that move, the one that is furthest behind stands for all.
const MapRecord* slowest_map(const UpdateRecord& update) {
  const MapRecord* slowest = nullptr;
  for (const MapRecord& map : update.maps) {
    if (map.policy == "sync" && (slowest == nullptr || map.progress < slowest->progress)) slowest = &map;
  }
  return slowest;
}

double phase_seconds(const UpdateRecord& update) {
  const std::string_view name = to_string(update.state);
  for (auto phase = update.phases.rbegin(); phase != update.phases.rend(); ++phase) {
    if (phase->phase == name) return phase->seconds;
  }
  return 0;
}

std::string activity(const UpdateRecord& update) {
  const MapRecord* map = slowest_map(update);
  const bool moves = update.state == State::kSyncing && map != nullptr;
  if (moves) return fmt::format("syncing {}, pass {}, {} keys, {:.0f} %", map->name, map->passes, map->keys, map->progress * 100);
  const double seconds = phase_seconds(update);
  std::string out(to_string(update.state));
  if (const std::string canary = render_canary_now(update); update.state == State::kBaking && !canary.empty()) out += " (" + canary + ")";
  if (update.state == State::kBaking)
    out += fmt::format(" for {}, {} measurements", human_seconds(seconds), update.measurements.size());
  return out;
}

// A rough share of the whole, for the eye: the phases that come before the bake take the first part.
double share(const UpdateRecord& update) {
  const MapRecord* map = slowest_map(update);
  const double progress = map == nullptr ? 1 : std::clamp(map->progress, 0.0, 1.0);
  switch (update.state) {
    case State::kPlanned:
    case State::kPlanning: return 0;
    case State::kLoading: return 0.05;
    case State::kSyncing: return 0.1 + 0.6 * progress;
    case State::kSwapping: return 0.75;
    case State::kBaking: return 0.85;
    case State::kRollingBack: return 0.95;
    case State::kCommitted:
    case State::kRolledBack:
    case State::kFailed:
    case State::kAborted:
    case State::kStuck: return 1;
  }
  return 0;
}

std::string duration_of(const UpdateRecord& update) {
  const Result<WallTime> began = parse_time(update.created_at);
  const Result<WallTime> ended = parse_time(update.updated_at);
  return began && ended ? human_seconds(Seconds(*ended - *began).count()) : "-";
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

// ", instances a, b": those whose programs have their names.
std::string instances_of(const std::vector<ModuleProgram>& programs) {
  std::set<std::string_view> names;
  for (const ModuleProgram& program : programs)
    if (const std::string_view base = base_name(program.name); base != program.name) names.insert(std::string_view(program.name).substr(base.size() + 1));
  if (names.empty()) return {};
  return fmt::format(", {} {}", names.size() == 1 ? "instance" : "instances", some_of({names.begin(), names.end()}));
}

std::string programs_table(const std::vector<ModuleProgram>& programs) {
  Table table({"PROGRAM", "ATTACHED", "ID", "RUNS", "MISSED", "RUN TIME"});
  for (const ModuleProgram& program : programs) {
    const std::string each =
        program.runs == 0 ? "-" : human_seconds(program.run_seconds / static_cast<double>(program.runs)) + " each";
    table.add({program.name, or_dash(program.attach.empty() ? program.type : program.attach), std::to_string(program.id),
               std::to_string(program.runs), std::to_string(program.missed), each});
  }
  return table.empty() ? std::string() : "\n" + table.text("  ");
}

std::string maps_table(const std::vector<ModuleMap>& maps) {
  Table table({"MAP", "TYPE", "ID", "KEY", "VALUE", "ENTRIES", "MAX", "MEMORY"});
  for (const ModuleMap& map : maps) {
    table.add({map.name, map.type, std::to_string(map.id), human_bytes(map.key_size), human_bytes(map.value_size),
               map.uncounted.empty() ? std::to_string(map.entries) : "-", std::to_string(map.max_entries), human_bytes(map.memory_bytes)});
  }
  return table.empty() ? std::string() : "\n" + table.text("  ");
}

// How the changes of those maps are followed that the configuration names.
std::string changes_table(const std::vector<ModuleMap>& maps) {
  Table table({"CHANGES", "SOURCE", "MODE", "VERSION", "SEEN", "LOST"});
  std::string reasons;
  for (const ModuleMap& map : maps) {
    if (!map.changes) continue;
    const MapChanges& changes = *map.changes;
    table.add({map.name, or_dash(changes.source), changes.mode, std::to_string(changes.version), std::to_string(changes.seen), std::to_string(changes.lost)});
    if (!changes.problem.empty()) reasons += fmt::format("    {}: NOT FOLLOWED: {}\n", map.name, changes.problem);
    else if (!changes.reason.empty()) reasons += fmt::format("    {}: {}\n", map.name, changes.reason);
  }
  return table.empty() ? std::string() : "\n" + table.text("  ") + reasons;
}

// Old maps that processes still hold.
std::string kept_lines(const std::vector<ModuleMap>& maps) {
  std::string out;
  for (const ModuleMap& map : maps) {
    if (!map.kept) continue;
    const KeptRecord& kept = *map.kept;
    const std::string holders = describe_holders(kept);
    out += fmt::format("\n  {}: the former map, id {}, is kept in step until {}; held by {}\n", map.name, kept.id, kept.until,
                       holders.empty() ? "nobody that was found" : holders);
    if (!kept.problem.empty()) out += fmt::format("    NOT IN STEP: {}\n", kept.problem);
    else if (std::ranges::any_of(kept.holders, [](const KeptHolder& holder) { return holder.pid == 0; }))
      out += "    sockets run these programs on: it is dropped when the last of them has gone\n";
    else if (!holders.empty()) out += fmt::format("    let them open {} again: then it is dropped\n", map.pin);
  }
  return out;
}

}  // namespace

std::string render_modules(const std::vector<ModuleRecord>& modules) {
  if (modules.empty()) return "No module is loaded. Load one with \"mapshift load MODULE.json\".\n";
  Table table({"MODULE", "VERSION", "GENERATION", "PROGRAMS", "MAPS", "ENTRIES", "UPDATE"});
  for (const ModuleRecord& module : modules) {
    uint64_t entries = 0;
    for (const ModuleMap& map : module.maps) entries += map.entries;
    const std::string update = module.running_update.empty()
                                   ? "-"
                                   : fmt::format("{} {}", module.running_update[0].id, to_string(module.running_update[0].state));
    table.add({module.name, module.version, std::to_string(module.generation), std::to_string(module.programs.size()),
               std::to_string(module.maps.size()), std::to_string(entries), update});
  }
  return table.text();
}

std::string render_module(const ModuleRecord& module) {
  std::string out = fmt::format("{} {}, generation {}{}\n", module.name, module.version, module.generation, instances_of(module.programs));
  if (!module.digest.empty()) out += fmt::format("object {}\n", module.digest);
  for (const UpdateRecord& update : module.running_update) out += render_progress(update) + "\n";
  for (const UpdateRecord& update : module.running_update) {
    if (const std::string sides = render_comparison(update); !sides.empty()) out += "\n" + sides;
  }
  return out + programs_table(module.programs) + maps_table(module.maps) + changes_table(module.maps) + kept_lines(module.maps);
}

std::string render_history(const std::vector<UpdateRecord>& updates) {
  if (updates.empty()) return "No update yet.\n";
  Table table({"UPDATE", "MODULE", "STATE", "FROM", "TO", "STARTED", "TOOK", "REASON"});
  for (const UpdateRecord& update : updates) {
    std::string reason = update.reason;
    std::ranges::replace(reason, '\n', ' ');
    table.add({update.id, update.module, std::string(to_string(update.state)),
               fmt::format("{} #{}", update.from.version, update.from.generation),
               fmt::format("{} #{}", update.to.version, update.to.generation), update.created_at, duration_of(update), reason});
  }
  return table.text();
}

std::string render_progress(const UpdateRecord& update) {
  return fmt::format("{} {}: {}", update.id, update.module, activity(update));
}

std::string render_progress_bar(const UpdateRecord& update, int width) {
  constexpr int kBar = 24;
  const int full = static_cast<int>(share(update) * kBar + 0.5);
  std::string out = fmt::format("{} [{}{}] {}", update.module, std::string(static_cast<size_t>(full), '#'),
                                std::string(static_cast<size_t>(kBar - full), '.'), activity(update));
  if (width > 1 && out.size() >= static_cast<size_t>(width)) out.resize(static_cast<size_t>(width) - 1);
  return out;
}

std::string render_outcome(const UpdateRecord& update) {
  std::string out = fmt::format("{} {}: {}, {}", update.id, update.module, to_string(update.state), render_generations(update));
  if (!update.reason.empty()) out += fmt::format("\n  reason: {}", update.reason);
  if (update.state == State::kCommitted) {
    out += fmt::format("\n  interruption {}, mixed window {}", human_seconds(update.interruption_seconds),
                       human_seconds(update.mixed_window_seconds));
  } else {
    out += fmt::format("\n  the whole story: mapshift explain {}", update.id);
  }
  return out + "\n";
}

}  // namespace mapshift::cli
