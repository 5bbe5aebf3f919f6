// SPDX-License-Identifier: Apache-2.0
#include "update/map_class.h"

#include <fmt/format.h>

namespace mapshift::update {

namespace {

// What the programs of both generations do to one map, and one of them that does it.
struct Deeds {
  std::string changes, updates, deletes;  // program names; empty: none does
  std::string adds, sets;                 // among the changes in place
  std::string reads, reads_earlier;       // the value; what an earlier run left in it
  bool complete = true;                   // all instructions were followed
};

void note(std::string& program, bool does, const MapAccess& access) {
  if (does && program.empty()) program = access.program;
}

void collect(const CodeFacts& facts, const std::string& map, Deeds& deeds) {
  deeds.complete &= facts.gave_up.empty();
  for (const MapAccess& access : facts.maps) {
    if (access.map != map) continue;
    note(deeds.changes, access.writes_value, access);
    note(deeds.updates, access.updates, access);
    note(deeds.deletes, access.deletes, access);
    note(deeds.reads, access.reads_value, access);
    note(deeds.reads_earlier, access.reads_earlier, access);
  }
  for (const FieldAccess& access : facts.fields) {
    if (access.map != map) continue;
    switch (access.kind) {
      case AccessKind::kAtomicAdd:
      case AccessKind::kAddStore: deeds.adds = access.program; break;
      case AccessKind::kAtomicOr:
      case AccessKind::kOrStore:
      case AccessKind::kMaxStore:
      case AccessKind::kMinStore:
      case AccessKind::kStore: deeds.sets = access.program; break;
      case AccessKind::kRead:
      case AccessKind::kInsertOnly:
      case AccessKind::kFeedsAddress: break;
    }
  }
}

bool one_slot(const MapSpec* map) { return map == nullptr || (map->type == MapType::kPercpuArray && map->max_entries == 1); }

MapClass infer_class(const Deeds& deeds, const MapSpec* before, const MapSpec& after) {
  if (!deeds.complete) return {"state", "not all instructions could be followed, so that nothing is taken for granted"};
  if (deeds.changes.empty() && deeds.updates.empty() && deeds.deletes.empty())
    return {"control", "no program writes it: user space does"};
  const bool slots = one_slot(before) && one_slot(&after) && after.section == DataSection::kNone;
  if (slots && deeds.updates.empty() && !deeds.changes.empty() && !deeds.reads.empty() && deeds.reads_earlier.empty())
    return {"scratch", fmt::format("each run writes it before it reads it ({})", deeds.reads)};
  if (deeds.changes.empty() && !deeds.updates.empty() && !deeds.deletes.empty())
    return {"flight", fmt::format("entries are added ({}) and deleted ({}), and never changed in place", deeds.updates, deeds.deletes)};
  if (deeds.updates.empty() && deeds.deletes.empty() && !deeds.adds.empty() && deeds.sets.empty())
    return {"counters", fmt::format("changed in place only, by adding ({})", deeds.adds)};
  std::string what;
  const auto add = [&](const char* verb, const std::string& program) {
    if (!program.empty()) what += fmt::format("{}{} ({})", what.empty() ? "" : ", ", verb, program);
  };
  add("entries are added", deeds.updates);
  add("changed in place", deeds.changes);
  add("deleted", deeds.deletes);
  return {"state", what};
}

std::string doubt_of(const std::string& klass, const MapSpec& map, const Deeds& deeds) {
  const std::string writer = !deeds.changes.empty() ? deeds.changes : !deeds.updates.empty() ? deeds.updates : deeds.deletes;
  if (klass == "control" && !writer.empty()) return fmt::format("{} writes it", writer);
  if (klass == "flight" && !deeds.changes.empty()) return fmt::format("{} changes entries in place", deeds.changes);
  if (klass == "counters" && !deeds.sets.empty()) return fmt::format("{} sets values, instead of adding", deeds.sets);
  if (klass == "scratch" && !is_percpu(map.type))
    return fmt::format("a {} map is shared by all CPUs, so that one run sees what another left behind", to_string(map.type));
  return {};
}

}  // namespace

MapClass classify(const MapRule& rule, const MapSpec* before, const CodeFacts& old_facts, const MapSpec& after,
                  const CodeFacts& new_facts) {
  Deeds deeds;
  collect(new_facts, after.name, deeds);
  if (before != nullptr) collect(old_facts, before->name, deeds);
  if (rule.klass.empty()) return infer_class(deeds, before, after);
  return {rule.klass, "the manifest says so", doubt_of(rule.klass, after, deeds)};
}

}  // namespace mapshift::update
