// SPDX-License-Identifier: Apache-2.0
#include "update/planner_programs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernel/instance_name.h"
#include "update/names.h"
#include "update/overlap.h"

namespace mapshift::update {

namespace {

using Swap = ProgramPlan::Swap;

constexpr std::array kSwapNames{std::pair(Swap::kNone, "none"), std::pair(Swap::kNative, "native"), std::pair(Swap::kDispatcher, "dispatcher"),
                                std::pair(Swap::kOverlap, "overlap"), std::pair(Swap::kAttach, "attach"), std::pair(Swap::kDetach, "detach")};

std::string swap_name(Swap swap) {
  return std::ranges::find(kSwapNames, swap, &std::pair<Swap, const char*>::first)->second;
}

const AttachSpec* attach_of(const GenerationInput& side, const std::string& program) {
  const auto rule = side.manifest.programs.find(program);
  return rule != side.manifest.programs.end() && rule->second.attach ? &*rule->second.attach : nullptr;
}

class ProgramPlanner {
 public:
  ProgramPlanner(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env, Plan& plan)
      : old_(old_side), next_(next), env_(env), plan_(plan) {}

  void run() {
    for (const ProgramSpec& program : next_.object.programs) plan_program(program);
    for (const ProgramSpec& program : old_.object.programs)
      if (find_program(next_.object, program.name) == nullptr) plan_gone(program);
    put_in_order();
  }

 private:
  void refuse(const std::string& program, std::string code, std::string message) {
    plan_.refusals.push_back({std::move(code), "programs." + program, std::move(message)});
  }

  void add(const std::string& name, const AttachSpec* attach, Swap swap) {
    ProgramPlan entry;
    entry.name = entry.record.name = name;
    if (attach != nullptr) {
      entry.attach = *attach;
      entry.record.type = attach->type;
    }
    entry.swap = swap;
    entry.record.swap = swap_name(swap);
    plan_.programs.push_back(std::move(entry));
  }

  void plan_program(const ProgramSpec& program) {
    const ProgramSpec* before = find_program(old_.object, program.name);
    const AttachSpec* to = attach_of(next_, program.name);
    const AttachSpec* from = before != nullptr ? attach_of(old_, program.name) : nullptr;
    if (before != nullptr && before->type != program.type)
      refuse(program.name, "program-type", fmt::format("{} is another type of program now ({} instead of {}): give the new one another name",
                                                       program.name, program.type, before->type));
    if (to == nullptr) return add(program.name, from, from != nullptr ? Swap::kDetach : Swap::kNone);
    if (auto problem = overlap_problem(next_.object, program, from != nullptr ? before : nullptr, *to)) plan_.refusals.push_back(std::move(*problem));
    if (from == nullptr) return add(program.name, to, Swap::kAttach);
    if (env_.gone.contains(program.name)) return plan_anew(program.name, *to);
    if (!(*from == *to))
      refuse(program.name, "attach-changed", fmt::format("{}. That would be a detach and an attach, with events in between: give the "
                                                         "program another name, so that it is attached beside",
                                                         attach_difference(*from, *to)));
    add(program.name, to, swap_mode(program, *before));
  }

  void plan_anew(const std::string& program, const AttachSpec& to) {
    add(program, &to, Swap::kAttach);
    plan_.warnings.push_back({"attached-anew", "programs." + program,
                              fmt::format("{} is attached nowhere now: its interface or cgroup went away, or its program did not load. It is attached "
                                          "anew, and what came in between is in no map", program)});
  }

  Swap swap_mode(const ProgramSpec& program, const ProgramSpec& before) {
    const auto mode = env_.swap_modes.find(program.name);
    if (mode == env_.swap_modes.end()) {
      const std::string where = "programs." + program.name;
      const bool said = std::any_of(env_.problems.begin(), env_.problems.end(),
                                    [&](const Problem& p) { return p.where.starts_with(where); });
      if (!said) refuse(program.name, "no-swap", fmt::format("nothing on this host can replace {} at its hook", program.name));
      return Swap::kNone;
    }
    // The kernel compares it when a link is updated (EINVAL), and a dispatcher's slots take one kind of program only.
    if (before.expected_attach_type != program.expected_attach_type)
      refuse(program.name, "attach-kind", fmt::format("{} was compiled for attach type {} and is for {} now: the kernel replaces like by like",
                                                      program.name, before.expected_attach_type, program.expected_attach_type));
    return mode->second;
  }

  void plan_gone(const ProgramSpec& program) {
    const AttachSpec* from = attach_of(old_, program.name);
    if (from != nullptr) add(program.name, from, Swap::kDetach);
  }

  [[nodiscard]] std::map<std::string, ProgramOrder> turns() const {
    std::vector<std::string> names;
    for (const ProgramPlan& program : plan_.programs)
      if (program.swap != Swap::kDetach && !program.attach.type.empty()) names.emplace_back(base_name(program.name));
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());  // all instances of a program in one turn
    std::map<std::string, ProgramOrder> by_name;
    if (env_.order) {
      for (ProgramOrder& turn : env_.order(next_.facts, names)) by_name[turn.name] = std::move(turn);
      return by_name;
    }
    int order = 0;
    for (const std::string& name : names) by_name[name] = {name, ++order, "by name"};
    return by_name;
  }

  void put_in_order() {
    const std::map<std::string, ProgramOrder> by_name = turns();
    int last = 0;
    for (const auto& [name, turn] : by_name) last = std::max(last, turn.order);
    for (ProgramPlan& program : plan_.programs) {
      const auto turn = by_name.find(std::string(base_name(program.name)));
      if (program.swap == Swap::kDetach) {
        program.record.order = last + 1;
        program.record.reason = "not attached by the new generation: detached last";
      } else if (turn != by_name.end()) {
        program.record.order = turn->second.order;
        program.record.reason = turn->second.reason;
      }
    }
    const auto rank = [](const ProgramPlan& p) { return p.record.order == 0 ? INT32_MAX : p.record.order; };
    std::stable_sort(plan_.programs.begin(), plan_.programs.end(),
                     [&](const ProgramPlan& a, const ProgramPlan& b) { return rank(a) < rank(b); });
  }

  const GenerationInput& old_;
  const GenerationInput& next_;
  const PlannerEnvironment& env_;
  Plan& plan_;
};

}  // namespace

void keep_swaps(const UpdateRecord& record, Plan& plan) {
  for (ProgramPlan& program : plan.programs) {
    const auto then = std::ranges::find(record.programs, program.name, &ProgramRecord::name);
    if (then == record.programs.end()) continue;
    const auto named = std::ranges::find_if(kSwapNames, [&](const auto& entry) { return entry.second == then->swap; });
    if (named != kSwapNames.end()) program.swap = named->first;
  }
}

std::string attach_difference(const AttachSpec& before, const AttachSpec& after) {
  std::string text;
  const auto compare = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b) text += fmt::format("{}{} changed from \"{}\" to \"{}\"", text.empty() ? "" : ", ", what, a, b);
  };
  compare("the attach type", before.type, after.type);
  if (!text.empty()) return text;  // the rest follows from it
  compare("the interface", before.interface, after.interface);
  compare("the mode", before.mode, after.mode);
  compare("the direction", before.direction, after.direction);
  compare("the category", before.category, after.category);
  compare("the name", before.name, after.name);
  compare("the path", before.path, after.path);
  compare("the hook", before.hook, after.hook);
  compare("the map", before.map, after.map);
  compare("the priority", fmt::format("{}", before.priority), fmt::format("{}", after.priority));
  compare("the handle", fmt::format("{}", before.handle), fmt::format("{}", after.handle));
  const TraceTarget &old_trace = before.trace, &new_trace = after.trace;
  compare("the symbol", old_trace.symbol, new_trace.symbol);
  compare("the offset", fmt::format("{}", old_trace.offset), fmt::format("{}", new_trace.offset));
  compare("the process", fmt::format("{}", old_trace.pid), fmt::format("{}", new_trace.pid));
  compare("the provider", old_trace.provider, new_trace.provider);
  compare("the event", old_trace.event, new_trace.event);
  compare("the frequency", fmt::format("{}", old_trace.frequency), fmt::format("{}", new_trace.frequency));
  compare("the period", fmt::format("{}", old_trace.period), fmt::format("{}", new_trace.period));
  compare("\"overlap\"", fmt::format("{}", old_trace.overlap), fmt::format("{}", new_trace.overlap));
  return text;
}

void plan_programs(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env, Plan& plan) {
  ProgramPlanner(old_side, next, env, plan).run();
}

}  // namespace mapshift::update
