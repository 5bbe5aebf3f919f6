// SPDX-License-Identifier: Apache-2.0
#include "update/map_transform.h"

#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "update/names.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

namespace {

// What gives the same result for the same input and comes back soon (linux/bpf.h). Functions run in the agent's own thread: a
// signal would end the agent, bpf_loop() within bpf_loop() never ends, and what time or chance says differs in each pass.
constexpr int32_t kPureHelpers[] = {BPF_FUNC_trace_printk, BPF_FUNC_trace_vprintk, BPF_FUNC_csum_diff, BPF_FUNC_strtol,
                                    BPF_FUNC_strtoul, BPF_FUNC_snprintf, BPF_FUNC_strncmp};
constexpr uint8_t kCall = BPF_JMP | BPF_CALL;

void check_calls(const std::string& name, const std::string& where, const ObjectSpec& object, std::set<std::string>& seen,
                 std::vector<Problem>& refusals) {
  const auto function = object.subprograms.find(name);
  if (function == object.subprograms.end() || !seen.insert(name).second) return;
  const auto& insns = function->second.insns;
  for (size_t i = 0; i < insns.size(); ++i) {
    if (insns[i].code != kCall || insns[i].src == BPF_PSEUDO_CALL) continue;
    const bool helper = insns[i].src == 0;
    if (helper && std::ranges::find(kPureHelpers, insns[i].imm) != std::end(kPureHelpers)) continue;
    refusals.push_back({"impure-function", where,
                        fmt::format("{}() calls {} at insn {}: a conversion may only compute, without maps, time, chance, signals and bpf_loop()",
                                    name, helper ? fmt::format("the helper {}", insns[i].imm) : std::string("a function of the kernel"), i)});
    return;
  }
  for (const Reloc& reloc : function->second.relocs) {
    const MapSpec* variables = reloc.kind == Reloc::Kind::kVariable ? find_map(object, reloc.symbol) : nullptr;
    if (variables != nullptr && variables->section != DataSection::kRodata) {
      refusals.push_back({"impure-function", where, fmt::format("{}() uses a variable of .{} at insn {}: a conversion may only compute, and "
                                                                "remembers nothing", name, reloc.symbol, reloc.insn)});
      return;
    }
    if (reloc.kind == Reloc::Kind::kExtern && reloc.insn < insns.size() && insns[reloc.insn].code == kCall) {  // as clang leaves it to libbpf
      refusals.push_back({"impure-function", where, fmt::format("{}() calls {}(), a function of the kernel, at insn {}: a conversion may only compute",
                                                                name, reloc.symbol, reloc.insn)});
      return;
    }
    if (reloc.kind == Reloc::Kind::kCall || reloc.kind == Reloc::Kind::kCallback) check_calls(reloc.symbol, where, object, seen, refusals);
  }
}

void check_function(const std::string& name, std::string where, const ObjectSpec& object, std::vector<Problem>& refusals) {
  if (name.empty()) return;
  if (object.subprograms.contains(name)) {
    std::set<std::string> seen;
    return check_calls(name, where, object, seen, refusals);
  }
  std::vector<std::string> known;
  for (const auto& [function, code] : object.subprograms) known.push_back(function);
  Problem problem = unknown_name("function", name, "the object", std::move(where), known);
  problem.message += " (a conversion is a function by MS_TRANSFORM of mapshift/module.bpf.h)";
  refusals.push_back(std::move(problem));
}

}  // namespace

bool transform_pending(const MapRule& old_rule, const MapRule& rule, bool identical) {
  if (rule.transform_up.empty()) return false;
  return !identical || rule.transform_up != old_rule.transform_up;
}

SchemaDiff diff_transformed(SchemaRequest request, const MapRule& rule, const ObjectSpec& object) {
  const ValueLayout old_value = request.old_value;
  const Layout before = read_layout(old_value.type, old_value.size, request.where);
  request.transform = rule.transform_up;
  request.old_value = request.new_value;
  request.lock0 = before.locks.empty() ? -1 : static_cast<int32_t>(before.locks.front().offset);
  SchemaDiff diff = diff_values(request);
  check_function(rule.transform_up, request.where + ".transform.up", object, diff.refusals);
  check_function(rule.transform_down, request.where + ".transform.down", object, diff.refusals);
  check_function(rule.transform_with_key, request.where + ".transform.with_key", object, diff.refusals);
  check_function(rule.transform_with_down, request.where + ".transform.with_down", object, diff.refusals);
  diff.refusals.insert(diff.refusals.end(), before.problems.begin(), before.problems.end());
  for (const std::string& special : before.specials)
    diff.refusals.push_back({"special-field", request.where, fmt::format("{} belongs to the kernel and cannot be converted", special)});
  if (old_value.size > kMaxSyncValueSize)
    diff.refusals.push_back({"value-too-large", request.where,
                             fmt::format("values of {} bytes cannot be converted: {} is the limit", old_value.size, kMaxSyncValueSize)});
  diff.notes.push_back(rule.transform_down.empty()
                           ? fmt::format("values are converted by {}(); there is no way back (\"down\"), so that a rollback loses new writes",
                                         rule.transform_up)
                           : fmt::format("values are converted by {}(), and back by {}()", rule.transform_up, rule.transform_down));
  if (rule.transform_down.empty())
    diff.lossy += fmt::format("{}rollback: loses new writes, because \"transform\" has no \"down\"", diff.lossy.empty() ? "" : "; ");
  return diff;
}

}  // namespace mapshift::update
