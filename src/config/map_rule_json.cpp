// SPDX-License-Identifier: Apache-2.0
#include "config/map_rule_json.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>

namespace mapshift::config {
namespace {

using update::Merge;
using update::OnDelete;
using update::Policy;

constexpr std::array<std::pair<std::string_view, Policy>, 5> kPolicies{{{"auto", Policy::kAuto},
                                                                        {"reuse", Policy::kReuse},
                                                                        {"sync", Policy::kSync},
                                                                        {"reset", Policy::kReset},
                                                                        {"refuse", Policy::kRefuse}}};
constexpr std::array<std::pair<std::string_view, Merge>, 6> kMerges{{{"sum", Merge::kSum},
                                                                     {"latest", Merge::kLatest},
                                                                     {"max", Merge::kMax},
                                                                     {"min", Merge::kMin},
                                                                     {"or", Merge::kOr},
                                                                     {"first", Merge::kFirst}}};
constexpr std::array<std::pair<std::string_view, OnDelete>, 2> kOnDelete{
    {{"drop", OnDelete::kDrop}, {"keep_delta", OnDelete::kKeepDelta}}};

bool is_field_path(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '[' || c == ']'; };
  return !text.empty() && text.size() <= 256 && text.front() != '.' && text.back() != '.' && std::ranges::all_of(text, allowed);
}

void read_class(ObjectReader& reader, std::string& out) {
  static const std::array<std::pair<std::string_view, std::string>, 5> classes{
      {{"control", "control"}, {"state", "state"}, {"flight", "flight"}, {"scratch", "scratch"}, {"counters", "counters"}}};
  reader.choice<std::string>("class", out, classes);
}

update::FieldRule read_field_rule(ObjectReader& reader) {
  update::FieldRule out;
  if (Merge merge = Merge::kLatest; reader.has("merge")) {
    reader.choice<Merge>("merge", merge, kMerges);
    out.merge = merge;
  }
  reader.text("from", out.from, is_field_path, "a field of the old layout, such as \"saddr\" or \"addr.port\"");
  if (int64_t value = 0; reader.has("default")) {
    reader.integer("default", value, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    out.default_value = value;
  }
  reader.finish();
  return out;
}

}  // namespace

update::MapRule read_map_rule(ObjectReader& reader) {
  update::MapRule out;
  reader.choice<Policy>("policy", out.policy, kPolicies);
  reader.text("from", out.from, is_name, kNameRule);
  read_class(reader, out.klass);
  if (int64_t epoch = 0; reader.has("epoch")) {
    reader.integer("epoch", epoch, 0, std::numeric_limits<int64_t>::max());
    out.epoch = epoch;
  }
  reader.choice<OnDelete>("on_delete", out.on_delete, kOnDelete);
  if (int64_t entries = 0; reader.has("max_entries")) {
    reader.integer("max_entries", entries, 1, std::numeric_limits<uint32_t>::max());
    out.max_entries = static_cast<uint32_t>(entries);
  }
  reader.members("fields", [&](const std::string& path, JsonValue& value, const std::string& where) {
    if (!is_field_path(path))
      reader.report().add("bad-name", where, value.line, "\"" + where + "\" is not the path of a field, such as \"a.b\"");
    if (!expect_kind(reader.report(), value, where, JsonValue::Kind::kObject)) return;
    ObjectReader field(reader.report(), value, where);
    out.fields[path] = read_field_rule(field);
  });
  reader.finish();
  return out;
}

}  // namespace mapshift::config
