// SPDX-License-Identifier: Apache-2.0
#include "config/instances_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "kernel/instance_name.h"

namespace mapshift::config {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxInstances = 64;  // each loads the object once
constexpr size_t kMaxNameLength = 32;
constexpr size_t kMaxAttaches = 4096;
constexpr size_t kMaxWritten = 65'536;  // JSON values in all attaches of the instances, as many as a document may have

bool is_instance_name(std::string_view text) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return text.size() <= kMaxNameLength && std::ranges::all_of(text, allowed);
}

size_t values_in(const JsonValue& value) {
  size_t count = 1;
  for (const JsonValue& item : value.items) count += values_in(item);
  for (const auto& [name, member] : value.members) count += values_in(member);
  return count;
}

class Taking {
 public:
  Taking(Substitution& substitution, Report& report) : substitution_(substitution), report_(report) {}

  Instances take(JsonValue& document) {
    JsonValue* list = document.find("instances");
    if (list == nullptr) return {};
    const int line = list->line;
    substitution_.fill(*list, "instances");
    read_list(*list);
    std::erase_if(document.members, [](const auto& member) { return member.first == "instances"; });
    for (const Values& own : out_.parameters)
      for (const auto& [name, value] : own)
        if (name != "name") names_.insert(name);
    if (JsonValue* programs = document.find("programs"); programs != nullptr)
      for (auto& [name, program] : programs->members) take_program(name, program);
    for (const std::string& name : names_) share(name);
    if (out_.attaches.empty() && report_.empty())
      report_.add("no-instance-attach", "instances", line,
                  "no program's \"attach\" names a parameter of the instances: each needs a place of its own, such as \"interface\": \"$IFACE\"");
    return std::move(out_);
  }

 private:
  void read_list(JsonValue& list) {
    if (!expect_kind(report_, list, "instances", Kind::kArray)) return;
    if (list.items.empty()) report_.add("bad-value", "instances", list.line, "there is none in it: leave it out, or name what differs");
    if (list.items.size() > kMaxInstances)
      return report_.add("too-many", "instances", list.line, fmt::format("more than {} instances", kMaxInstances));
    for (size_t i = 0; i < list.items.size(); ++i) read_one(list.items[i], i);
  }

  void read_one(JsonValue& item, size_t index) {
    const std::string where = fmt::format("instances[{}]", index);
    if (!expect_kind(report_, item, where, Kind::kObject)) return;
    const std::string name = read_name(item, index, where);
    Values own{{"name", name}};
    for (auto& [key, value] : item.members) {
      const std::string place = where + "." + key;
      if (key == "name") continue;
      if (key == "attach") take_explicit(value, name, place);
      else if (auto text = read_param(key, value, place, report_)) own[key] = *std::move(text);
    }
    out_.parameters.push_back(std::move(own));
  }

  std::string read_name(JsonValue& item, size_t index, const std::string& where) {
    std::string name = std::to_string(index);
    if (const JsonValue* given = item.find("name"); given != nullptr && expect_kind(report_, *given, where + ".name", Kind::kString)) {
      name = given->text;
      if (!is_instance_name(name))
        report_.add("bad-name", where + ".name", given->line, fmt::format("\"{}\" is not an instance's name: up to 32 letters, digits and '_'", name));
    }
    const auto same = [&](const Values& other) { return other.at("name") == name; };
    if (std::ranges::any_of(out_.parameters, same))
      report_.add("duplicate-name", where, item.line, fmt::format("there are two instances \"{}\": give each its own \"name\"", name));
    return name;
  }

  void take_explicit(JsonValue& attaches, const std::string& instance, const std::string& where) {
    if (!expect_kind(report_, attaches, where, Kind::kObject)) return;
    if (out_.attaches.size() + attaches.members.size() > kMaxAttaches)
      return report_.add("too-many", where, attaches.line, fmt::format("all instances together attach more than {} programs", kMaxAttaches));
    for (auto& [program, attach] : attaches.members) {
      const std::string place = where + "." + program;
      if (!is_name(program)) report_.add("bad-name", place, attach.line, "\"" + program + "\" is not " + std::string(kNameRule));
      if (expect_kind(report_, attach, place, Kind::kObject)) out_.attaches.push_back({program, instance, place, std::move(attach)});
    }
  }

  // Named in full, a place of an instance's is the only one that its program has.
  void take_program(const std::string& name, JsonValue& program) {
    JsonValue* attach = program.find("attach");
    if (attach == nullptr) return;
    const std::string where = fmt::format("programs.{}.attach", name);
    const auto given = std::ranges::find(out_.attaches, name, &Instances::Attach::program);
    if (given != out_.attaches.end()) return report_.add("attach-twice", where, attach->line, fmt::format("{} says where it attaches, too", given->where));
    if (!refers_to(*attach, names_)) return;
    if (out_.attaches.size() + out_.parameters.size() > kMaxAttaches)
      return report_.add("too-many", where, attach->line, fmt::format("all instances together attach more than {} programs", kMaxAttaches));
    written_ += values_in(*attach) * out_.parameters.size();
    if (written_ > kMaxWritten) return report_.add("too-large", where, attach->line, "the places of all instances, written out, are too much");
    for (const Values& own : out_.parameters) {
      JsonValue filled = *attach;
      Values parameters = own;
      parameters.erase("name");
      substitution_.fill_with(parameters, filled, where);
      out_.attaches.push_back({name, own.at("name"), where, std::move(filled)});
    }
    std::erase_if(program.members, [](const auto& member) { return member.first == "attach"; });
  }

  // Elsewhere a parameter has one value, or none.
  void share(const std::string& name) {
    const auto value_in = [&](const Values& own) {
      const auto found = own.find(name);
      if (found != own.end()) return found->second;
      const auto common = substitution_.values().find(name);
      return common == substitution_.values().end() ? std::string() : common->second;
    };
    const std::string value = value_in(out_.parameters.front());
    if (std::ranges::all_of(out_.parameters, [&](const Values& own) { return value_in(own) == value; })) substitution_.give(name, value);
    else substitution_.forbid(name);
  }

  Substitution& substitution_;
  Report& report_;
  Instances out_ = {};
  size_t written_ = 0;  // JSON values in out_.attaches
  std::set<std::string> names_ = {};
};

}  // namespace

Instances take_instances(JsonValue& document, Substitution& substitution, Report& report) { return Taking(substitution, report).take(document); }

void read_instances(Instances& instances, const MakeAbsolute& absolute, Report& report, update::Manifest& out) {
  out.instances = instances.parameters;
  std::set<std::string> wrong;  // programs: what is wrong with one instance's place mostly is with all
  for (auto attach = instances.attaches.begin(); attach != instances.attaches.end(); ++attach) {
    if (wrong.contains(attach->program)) continue;
    const size_t before = report.size();
    ObjectReader reader(report, attach->value, attach->where);
    update::AttachSpec spec = read_attach(reader, absolute);
    if (report.size() != before) wrong.insert(attach->program);
    if (JsonValue* path = attach->value.find("path"); path != nullptr && path->kind == Kind::kString) path->text = absolute(path->text);
    spec.trace.overlap = out.programs[attach->program].overlap;
    for (auto other = instances.attaches.begin(); other != attach; ++other) {
      if (other->program != attach->program || !(out.programs[instance_name(other->program, other->instance)].attach == spec)) continue;
      report.add("same-place", attach->where, attach->value.line,
                 fmt::format("the instances \"{}\" and \"{}\" attach {} to the same place", other->instance, attach->instance, attach->program));
    }
    out.programs[instance_name(attach->program, attach->instance)].attach = std::move(spec);
  }
}

void put_back(const Instances& instances, JsonValue& document) {
  if (instances.parameters.empty()) return;
  const auto text = [](const std::string& value) {
    JsonValue out;
    out.kind = Kind::kString;
    out.text = value;
    return out;
  };
  JsonValue list;
  list.kind = Kind::kArray;
  for (const Values& own : instances.parameters) {
    JsonValue item, attaches;
    item.kind = attaches.kind = Kind::kObject;
    for (const auto& [name, value] : own) item.members.emplace_back(name, text(value));
    for (const Instances::Attach& attach : instances.attaches)
      if (attach.instance == own.at("name")) attaches.members.emplace_back(attach.program, attach.value);
    item.members.emplace_back("attach", std::move(attaches));
    list.items.push_back(std::move(item));
  }
  document.members.emplace_back("instances", std::move(list));
}

}  // namespace mapshift::config
