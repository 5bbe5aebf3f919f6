// SPDX-License-Identifier: Apache-2.0
#include "agent/prepare.h"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/clock.h"
#include "config/manifest.h"
#include "kernel/any_sync.h"
#include "kernel/instance_name.h"
#include "kernel/object_file.h"
#include "kernel/record_type.h"
#include "update/declared_types.h"
#include "update/inference.h"
#include "update/left_out.h"
#include "update/load_request.h"
#include "update/order.h"
#include "update/planner.h"
#include "update/planner_programs.h"

namespace mapshift::agent {
namespace {

update::ProgramPlan::Swap to_swap(SwapMode mode) {
  switch (mode) {
    case SwapMode::kNative:
    case SwapMode::kFilter: return update::ProgramPlan::Swap::kNative;
    case SwapMode::kDispatcher: return update::ProgramPlan::Swap::kDispatcher;
    case SwapMode::kOverlap: return update::ProgramPlan::Swap::kOverlap;
  }
  return update::ProgramPlan::Swap::kNone;
}

update::PlannerEnvironment environment(Kernel& kernel, const Prepared& next, const update::Limits& limits) {
  update::PlannerEnvironment env;
  const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  env.possible_cpus = cpus > 0 ? static_cast<uint32_t>(cpus) : 1;
  env.available_memory = kernel.available_memory();
  env.memory_headroom = limits.memory_headroom;
  env.infer = update::infer_merge;
  env.order = update::swap_order;
  env.engine = check_any_sync;
  env.problems = next.problems;
  for (const auto& [name, attach] : next.attach) {
    Hook hook = update::to_hook(attach);
    hook.stub = next.input.manifest.swap == update::SwapTogether::kTogether;
    if (Status found = kernel.check_hook(hook); !found) {
      const bool optional = std::ranges::find(next.input.manifest.optional_programs, base_name(name)) != next.input.manifest.optional_programs.end();
      env.problems.push_back({found.error().code == ErrorCode::kUnsupported ? "unserved-attach-type" : "no-hook", "programs." + name,
                              found.error().message + (optional ? "; it is optional, but only its loading: leave it out with \"load\": false" : "")});
      continue;
    }
    if (auto mode = kernel.swap_mode(hook); mode) {
      env.swap_modes[name] = to_swap(*mode);
    }
  }
  for (const auto& [name, rule] : next.input.manifest.ringbufs) {
    if (rule.record.empty()) continue;
    if (auto type = read_record_type(next.object_path, rule.record); !type) env.problems.push_back({"unknown-type", "ringbufs." + name + ".record", type.error().message});
  }
  if (auto rodata = update::rodata_bytes(next.input.manifest, next.input.object); !rodata) {
    // Names that are not there, the planner reports itself, with what may have been meant.
    std::copy_if(rodata.error().problems.begin(), rodata.error().problems.end(), std::back_inserter(env.problems),
                 [](const Problem& problem) { return problem.code != "unknown-variable"; });
  }
  return env;
}

// Pins of a generation's map: of each instance, where each has its own.
std::vector<std::string> pins_of(const std::vector<std::string>& pinned, const std::string& map) {
  std::vector<std::string> pins;
  std::ranges::copy_if(pinned, std::back_inserter(pins), [&](const std::string& pin) { return base_name(pin) == map; });
  return pins;
}

// The kernel waits for its readers in each update of an XDP link.
void warn_of_many(const update::Limits& limits, update::Plan& plan) {
  constexpr Nanos kUpdateOfXdpLink = std::chrono::milliseconds(16);  // p99 on an idle machine; p50 is 8
  if (plan.together) return;
  const auto hooks = std::ranges::count_if(plan.programs, [](const update::ProgramPlan& program) {
    return program.attach.type == "xdp" && program.swap == update::ProgramPlan::Swap::kNative;
  });
  if (hooks * kUpdateOfXdpLink <= limits.swap_timeout) return;
  plan.warnings.push_back({"long-swap", "swap", "to swap " + std::to_string(hooks) + " XDP hooks one after the other may take " +
      format_duration(hooks * kUpdateOfXdpLink) + ", and the update fails after limits.swap_timeout (" + format_duration(limits.swap_timeout) +
      "): set \"swap\": \"together\", which moves all of them by one store, or raise the limit"});
}

update::Plan plan_from(const Prepared& old_side, const Prepared& next, const update::Limits& limits, const update::PlannerEnvironment& env) {
  // The kernel does not tell what a running program was compiled for. Its link was made, so it fits: as the next one must.
  update::GenerationInput running = old_side.input;
  for (ProgramSpec& program : running.object.programs) {
    const auto same = std::ranges::find(next.input.object.programs, program.name, &ProgramSpec::name);
    if (program.code.insns.empty() && same != next.input.object.programs.end()) program.expected_attach_type = same->expected_attach_type;
  }
  update::Plan plan = update::make_plan(running, next.input, env);
  warn_of_many(limits, plan);
  return plan;
}

}  // namespace

std::vector<std::string> attached_programs(const Prepared& generation) {
  std::vector<std::string> names;
  for (const auto& [name, attach] : generation.attach) names.push_back(name);
  return names;
}

Result<Prepared> prepare(const update::Manifest& manifest, uint64_t generation, const std::string& object_path) {
  Prepared out;
  out.object_path = object_path.empty() ? manifest.object : object_path;
  MS_TRY(out.input.object, read_object_file(out.object_path));
  out.input.ref = {generation, manifest.version};
  out.input.manifest = manifest;
  out.problems = update::apply_declared_types(manifest, out.object_path, out.input.object);
  const auto wrong = update::leave_out(out.input.manifest, out.input.object);
  out.problems.insert(out.problems.end(), wrong.begin(), wrong.end());
  auto attach = update::attachments(manifest, out.input.object);
  if (!attach) {
    attach.error().problems.insert(attach.error().problems.begin(), wrong.begin(), wrong.end());
    return fail(std::move(attach).error());
  }
  out.attach = *std::move(attach);
  for (const auto& [name, place] : out.attach) out.input.manifest.programs[name].attach = place;
  out.input.facts = update::analyse(out.input.object);
  return out;
}

void adopt_running_layouts(Kernel& kernel, const update::Paths& paths, Prepared& prepared) {
  // An adopted generation lacks the maps that none of its programs uses.
  const auto pinned = kernel.list(paths.generation(prepared.input.ref.generation) + "/maps");
  if (pinned && !pinned->empty()) {
    std::erase_if(prepared.input.object.maps, [&](const MapSpec& map) { return pins_of(*pinned, map.name).empty(); });
  }
  for (MapSpec& map : prepared.input.object.maps) {
    const auto pins = pins_of(pinned.value_or(std::vector<std::string>()), map.name);
    auto running = kernel.read_map_spec(paths.map(prepared.input.ref.generation, pins.empty() ? map.name : pins.front()));
    if (!running) continue;
    map.max_entries = running->max_entries;
    map.value_size = running->value_size;
    map.key_size = running->key_size;
    if (running->value && map.section == DataSection::kNone) map.value = running->value;
    if (running->key && map.section == DataSection::kNone) map.key = running->key;
  }
}

Result<Prepared> prepare_adopted(Kernel& kernel, const update::Paths& paths, const update::Manifest& manifest, uint64_t generation) {
  Prepared out;
  MS_TRY(out.input.object, kernel.read_generation(paths.generation(generation)));
  out.input.ref = {generation, manifest.version};
  out.input.manifest = manifest;
  MS_TRY(out.attach, update::attachments(manifest, out.input.object));
  out.input.facts.gave_up = {"adopted: its instructions were not analysed"};
  return out;
}

Result<Prepared> prepare_loaded(Kernel& kernel, const update::Paths& paths, update::Manifest manifest, uint64_t generation,
                                const std::string& object_path) {
  if (object_path.empty()) return prepare_adopted(kernel, paths, manifest, generation);
  const auto pinned = kernel.list(paths.generation(generation) + "/progs");
  for (const std::string& name : pinned.value_or(std::vector<std::string>())) manifest.programs.try_emplace(std::string(base_name(name)));
  MS_TRY(Prepared out, prepare(manifest, generation, object_path));
  adopt_running_layouts(kernel, paths, out);
  return out;
}

Result<Prepared> prepare_running(Kernel& kernel, const std::string& bpffs, const store::ModuleRow& row) {
  MS_TRY(update::Manifest manifest, config::parse_manifest(row.manifest, "/", {}, "the stored manifest of " + row.name));
  return prepare_loaded(kernel, update::Paths(bpffs, row.name), std::move(manifest), row.generation, row.object_path);
}

std::set<std::string> gone_hooks(Kernel& kernel, const update::Paths& paths, const Prepared& running) {
  std::set<std::string> gone;
  for (const auto& [name, attach] : running.attach) {
    const auto pins = kernel.list(paths.hook(name));
    const bool attached = !pins || std::ranges::find(*pins, "link") != pins->end();
    if (!attached || kernel.place_gone(paths.hook(name)).value_or(false)) gone.insert(name);
  }
  return gone;
}

update::Plan plan_update(Kernel& kernel, const std::string& bpffs, const Prepared& old_side, const Prepared& next,
                         const update::Limits& limits, std::set<std::string> gone) {
  update::PlannerEnvironment env = environment(kernel, next, limits);
  env.gone = std::move(gone);
  const update::Paths paths(bpffs, old_side.input.manifest.name);
  const auto pinned = kernel.list(paths.generation(old_side.input.ref.generation) + "/maps").value_or(std::vector<std::string>());
  for (const MapSpec& map : old_side.input.object.maps) {
    // Counting walks the map: only where the answer decides something.
    const auto rule = next.input.manifest.maps.find(map.name);
    const auto same = std::find_if(next.input.object.maps.begin(), next.input.object.maps.end(), [&](const MapSpec& m) { return m.name == map.name; });
    const bool resized = rule != next.input.manifest.maps.end() || same == next.input.object.maps.end() || same->max_entries < map.max_entries;
    if (!resized || map.section != DataSection::kNone) continue;
    for (const std::string& pin : pins_of(pinned, map.name)) {  // of several instances the fullest decides
      const auto count = kernel.count_entries(paths.map(old_side.input.ref.generation, pin));
      if (count) env.live_entries[map.name] = std::max(env.live_entries[map.name], *count);
    }
  }
  return plan_from(old_side, next, limits, env);
}

update::Plan plan_again(Kernel& kernel, const Prepared& old_side, const Prepared& next, const update::Limits& limits, const update::UpdateRecord& begun) {
  update::PlannerEnvironment env = environment(kernel, next, limits);
  for (const MapSpec& map : old_side.input.object.maps) env.live_entries[map.name] = 0;  // they were few enough then
  update::Plan plan = plan_from(old_side, next, limits, env);
  update::keep_swaps(begun, plan);
  return plan;
}

update::Plan plan_load(Kernel& kernel, const Prepared& next, const update::Limits& limits) {
  const update::PlannerEnvironment env = environment(kernel, next, limits);
  update::GenerationInput none;
  none.manifest.name = next.input.manifest.name;
  none.object.has_btf = true;
  return update::make_plan(none, next.input, env);
}

}  // namespace mapshift::agent
