// SPDX-License-Identifier: Apache-2.0
#include "update/inference.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "update/inference_walk.h"

namespace mapshift::update {
namespace {

auto rank(const FieldAccess& a) {
  return std::tie(a.map, a.offset, a.size, a.kind, a.program, a.function, a.insn, a.stride, a.end, a.locked, a.clamped, a.adds_too);
}

// A table of functions is exchanged as one: it does to maps what all of its functions do.
void add_tables(const ObjectSpec& object, CodeFacts& facts) {
  const size_t count = facts.maps.size();
  for (const ProgramSpec& program : object.programs) {
    if (!program.table) continue;
    for (size_t i = 0; i < count; ++i) {
      if (std::ranges::find(program.table->programs, facts.maps[i].program) == program.table->programs.end()) continue;
      MapAccess access = facts.maps[i];
      access.program = program.name;
      facts.maps.push_back(std::move(access));
    }
  }
}

}  // namespace

CodeFacts analyse(const ObjectSpec& object) {
  CodeFacts out;
  const inference::ObjectIndex index(object);
  inference::MapSets sets(static_cast<uint32_t>(index.maps.size()));
  uint64_t budget = kMaxStepsPerObject;
  for (const auto& program : object.programs) {
    if (program.table) continue;
    inference::Walk walk(index, sets, program, budget);
    walk.run();
    walk.collect(out);
    // One instruction reached over several chains of calls, or through several keys, is one fact.
    std::sort(out.fields.begin(), out.fields.end(), [](const auto& a, const auto& b) { return rank(a) < rank(b); });
    out.fields.erase(
        std::unique(out.fields.begin(), out.fields.end(), [](const auto& a, const auto& b) { return rank(a) == rank(b); }),
        out.fields.end());
    if (out.fields.size() <= kMaxAccesses) continue;
    out.fields.resize(kMaxAccesses);
    out.gave_up.push_back(program.name + ": the object touches more places than are remembered");
  }
  add_tables(object, out);
  return out;
}

MapUse use_of(const CodeFacts& facts, const std::string& map) {
  MapUse out;
  out.unseen = !facts.gave_up.empty();
  for (const auto& access : facts.maps) {
    if (access.map != map) continue;
    out.looks_up = out.looks_up || access.looks_up;
    out.inserts = out.inserts || access.inserts;
    out.replaces = out.replaces || access.replaces;
    out.deletes = out.deletes || access.deletes;
    out.in_place = out.in_place || access.writes_value;
    out.reads_value = out.reads_value || access.reads_value;
    out.reads_earlier = out.reads_earlier || access.reads_earlier;
  }
  return out;
}

std::string inner_name(const std::string& outer) { return fmt::format("{}[]", outer); }

}  // namespace mapshift::update
