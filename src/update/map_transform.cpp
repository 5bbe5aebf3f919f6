// SPDX-License-Identifier: Apache-2.0
#include "update/map_transform.h"

#include <fmt/format.h>

#include "update/names.h"
#include "update/schema_diff_layout.h"

namespace mapshift::update {

namespace {

void check_function(const std::string& name, std::string where, const ObjectSpec& object, std::vector<Problem>& refusals) {
  if (name.empty() || object.subprograms.contains(name)) return;
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
