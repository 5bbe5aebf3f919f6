// SPDX-License-Identifier: Apache-2.0
#include "config/map_rule_json.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <limits>
#include <optional>

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

constexpr Nanos kMaxLease = std::chrono::hours(24 * 7);

bool is_field_path(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '[' || c == ']'; };
  return !text.empty() && text.size() <= 256 && text.front() != '.' && text.back() != '.' && std::ranges::all_of(text, allowed);
}

void read_class(ObjectReader& reader, std::string& out) {
  static const std::array<std::pair<std::string_view, std::string>, 5> classes{
      {{"control", "control"}, {"state", "state"}, {"flight", "flight"}, {"scratch", "scratch"}, {"counters", "counters"}}};
  reader.choice<std::string>("class", out, classes);
}

bool is_type_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == ' '; };
  return !text.empty() && text.size() <= 128 && text.front() != ' ' && text.back() != ' ' && std::ranges::all_of(text, allowed);
}

bool is_c_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !text.empty() && text.size() <= 128 && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::ranges::all_of(text, allowed);
}

void read_types(ObjectReader& reader, update::MapRule& out) {
  std::optional<ObjectReader> types = reader.object("types");
  if (!types) return;
  constexpr std::string_view kRule = "a type of the object's, such as \"struct flow\" or \"__u64\"";
  types->text("key", out.key_type, is_type_name, kRule);
  types->text("value", out.value_type, is_type_name, kRule);
  types->finish();
}

void read_transform(ObjectReader& reader, update::MapRule& out) {
  std::optional<ObjectReader> transform = reader.object("transform");
  if (!transform) return;
  constexpr std::string_view kRule = "the name of a function of the object";
  transform->require("up");
  transform->text("up", out.transform_up, is_c_name, kRule);
  transform->text("down", out.transform_down, is_c_name, kRule);
  transform->text("with", out.transform_with, is_name, kNameRule);
  if (transform->has("with_key")) transform->require("with");
  transform->text("with_key", out.transform_with_key, is_c_name, kRule);
  if (transform->has("with_down")) {
    transform->require("with");
    transform->require("down");
  }
  transform->text("with_down", out.transform_with_down, is_c_name, kRule);
  transform->finish();
}

using Rules = std::map<std::string, update::FieldRule>;

void read_rules(ObjectReader& reader, std::string_view name, Rules& out, update::FieldRule (*read)(ObjectReader&)) {
  reader.members(name, [&](const std::string& path, JsonValue& value, const std::string& where) {
    if (!is_field_path(path))
      reader.report().add("bad-name", where, value.line, "\"" + where + "\" is not the path of a field, such as \"a.b\"");
    if (!expect_kind(reader.report(), value, where, JsonValue::Kind::kObject)) return;
    ObjectReader field(reader.report(), value, where);
    out[path] = read(field);
  });
}

// Of a key nothing is merged, so that only its old name can be said.
update::FieldRule read_key_rule(ObjectReader& reader) {
  update::FieldRule out;
  reader.require("from");
  reader.text("from", out.from, is_field_path, "a field of the old key, such as \"saddr\" or \"addr.port\"");
  reader.finish();
  return out;
}

bool is_enumerator(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= 128 && std::ranges::all_of(text, allowed);
}

void read_union(ObjectReader& reader, update::FieldRule& out) {
  if (!reader.has("discriminator")) {
    for (const char* other : {"when", "otherwise"})
      if (reader.has(other)) reader.complain(other, "bad-value", "is of a union that has a \"discriminator\"");
    static_cast<void>(reader.any("when"));
    static_cast<void>(reader.any("otherwise"));
    return;
  }
  constexpr std::array<std::pair<std::string_view, bool>, 2> kOtherwise{{{"bytes", false}, {"zero", true}}};
  update::UnionRule& rule = out.in_union.emplace();
  reader.text("discriminator", rule.discriminator, is_field_path, "a field beside the union, such as \"kind\"");
  reader.choice<bool>("otherwise", rule.zero, kOtherwise);
  reader.require("when");
  reader.members("when", [&](const std::string& value, JsonValue& member, const std::string& where) {
    if (!is_enumerator(value))
      reader.report().add("bad-name", where, member.line, "\"" + where + "\" is neither a number nor an enumerator");
    else if (expect_kind(reader.report(), member, where, JsonValue::Kind::kString)) rule.when[value] = member.text;
  });
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
  read_union(reader, out);
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
  if (reader.has("keep_old")) {
    Nanos lease{};
    reader.duration("keep_old", lease, std::chrono::seconds(1), kMaxLease);
    if (lease.count() > 0) out.keep_old = std::chrono::duration<double>(lease).count();
  }
  read_types(reader, out);
  read_transform(reader, out);
  reader.boolean("per_instance", out.per_instance);
  read_rules(reader, "fields", out.fields, read_field_rule);
  read_rules(reader, "key_fields", out.key_fields, read_key_rule);
  reader.finish();
  return out;
}

}  // namespace mapshift::config
