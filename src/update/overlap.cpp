// SPDX-License-Identifier: Apache-2.0
#include "update/overlap.h"

#include <algorithm>

namespace mapshift::update {
namespace {

bool has_gate(const ObjectSpec& object, const std::string& program) {
  const auto has_map = [&](const std::string& name) { return std::ranges::find(object.maps, name, &MapSpec::name) != object.maps.end(); };
  return has_map("ms_gate_" + program) && has_map("ms_turn_" + program);
}

}  // namespace

std::optional<Problem> overlap_problem(const ObjectSpec& object, const ProgramSpec& program, const ProgramSpec* before, const AttachSpec& attach) {
  const std::string& name = program.name;
  const auto problem = [&](const char* code, const std::string& message) { return Problem{code, "programs." + name, message}; };
  const std::string gate = "MS_GATED(" + name + ") and ms_my_turn(" + name + ") of mapshift/module.bpf.h";
  if (attach.type == "iter") return std::nullopt;  // no event runs it, and its link takes what may sleep
  if (before != nullptr && before->sleepable != program.sleepable) {
    return problem("sleepable", name + (program.sleepable ? " may sleep now" : " may no longer sleep") + ", which is exchanged in another way: give the new one another name");
  }
  if (!program.sleepable) {
    if (!attach.trace.overlap) return std::nullopt;
    return problem("overlap", name + " cannot sleep, so it is exchanged without an overlap: leave \"overlap\" out");
  }
  if (!attach.trace.overlap) {
    return problem("sleepable", name + " may sleep, so the kernel lets no dispatcher call it, and both generations' programs have to be attached for a moment: build it with " +
                                    gate + ", and say \"overlap\": true beside its \"attach\"");
  }
  if (has_gate(object, name)) return std::nullopt;
  return problem("no-gate", name + " has \"overlap\" but no gate, so both generations would process the same events: build it with " + gate);
}

}  // namespace mapshift::update
