// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "update/order.h"
#include "update/plan.h"
#include "update/schema_diff.h"

namespace mapshift::update {

// infer_merge and swap_order, or what a test puts in their place.
using MapInference =
    std::function<std::optional<InferredMerge>(const CodeFacts& old_facts, const std::string& old_map, const CodeFacts& new_facts,
                                           const std::string& new_map, uint32_t old_offset, uint32_t old_size, uint32_t new_offset,
                                           uint32_t new_size)>;
using SwapOrder = std::function<std::vector<ProgramOrder>(const CodeFacts& facts, const std::vector<std::string>& programs)>;

// What a plan has to know about the host, as values.
struct PlannerEnvironment {
  uint32_t possible_cpus = 1;
  std::optional<uint64_t> available_memory = {};  // bytes; absent: not known, and not checked
  double memory_headroom = 0.2;
  std::map<std::string, ProgramPlan::Swap> swap_modes = {};  // by program: kNative, kDispatcher or kOverlap
  std::set<std::string> gone = {};                           // programs of the old generation whose hook runs nothing any more
  std::map<std::string, uint64_t> live_entries = {};         // by map of the old generation
  std::vector<Problem> problems = {};                        // found before: missing hooks, attach types not served
  MapInference infer = {};                                   // empty: no inference
  SwapOrder order = {};                                      // empty: by name
  std::function<Status(const SyncSpec&)> engine = {};        // whether the sync engine serves it; empty: it serves all
};

// Pure. Both manifests must carry the attach of every program that attaches (sections' names resolved). Everything that is
// wrong is in Plan::refusals; a plan with refusals must not be executed. An old side of generation 0 is none: a first load.
[[nodiscard]] Plan make_plan(const GenerationInput& old_side, const GenerationInput& next, const PlannerEnvironment& env);

// The document that people see: state "planned". Identity, times and digest are the caller's.
[[nodiscard]] UpdateRecord to_record(const Plan& plan);

// Bytes that a map of this form takes, by the kernel's allocation rules, rounded up. Saturates.
[[nodiscard]] uint64_t map_memory(const MapSpec& map, uint32_t max_entries, uint32_t possible_cpus);
// Bytes that the base of a synchronised pair takes.
[[nodiscard]] uint64_t base_memory(const SyncSpec& sync, uint32_t possible_cpus);

}  // namespace mapshift::update
