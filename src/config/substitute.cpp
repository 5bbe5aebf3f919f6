// SPDX-License-Identifier: Apache-2.0
#include "config/substitute.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "config/object_reader.h"

namespace mapshift::config {
namespace {

using Kind = JsonValue::Kind;

constexpr size_t kMaxFilled = kMaxDocumentBytes;  // of all filled-in text: few short strings must not become gigabytes

bool is_name_start(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool is_name_part(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The $NAME that stands at `at`; nothing when the dollar there is only a dollar.
struct Reference {
  std::string name = {};
  size_t length = 0;  // of the whole reference in the text
};
Reference reference_at(const std::string& text, size_t at) {
  const bool braced = at + 1 < text.size() && text[at + 1] == '{';
  const size_t begin = at + (braced ? 2 : 1);
  if (begin >= text.size() || !is_name_start(text[begin])) return {};
  size_t end = begin;
  while (end < text.size() && is_name_part(text[end])) ++end;
  if (braced && (end == text.size() || text[end] != '}')) return {};
  return {text.substr(begin, end - begin), end - at + (braced ? 1 : 0)};
}

}  // namespace

void Substitution::fill(JsonValue& value, const std::string& where) {
  if (value.kind == Kind::kString) fill_text(value, where);
  for (size_t i = 0; i < value.items.size(); ++i) fill(value.items[i], fmt::format("{}[{}]", where, i));
  for (auto& [key, member] : value.members) fill(member, where.empty() ? key : where + "." + key);
}

void Substitution::fill_with(const Values& own, JsonValue& value, const std::string& where) {
  Values all = values_;
  for (const auto& [name, text] : own) all[name] = text;
  std::swap(values_, all);
  fill(value, where);
  std::swap(values_, all);
}

void Substitution::fill_text(JsonValue& value, const std::string& where) {
  std::string out;
  for (size_t at = 0; at < value.text.size();) {
    if (value.text[at] != '$') {
      out += value.text[at++];
      continue;
    }
    const bool doubled = at + 1 < value.text.size() && value.text[at + 1] == '$';
    const Reference reference = doubled ? Reference{} : reference_at(value.text, at);
    if (reference.length == 0) {
      out += '$';
      at += doubled ? 2 : 1;
      continue;
    }
    out += resolve(reference.name, value, where);
    value.substituted = reference.length == value.text.size();
    at += reference.length;
    limit(filled_ + out.size(), value, where);  // at once: one text may name a long value very often
  }
  filled_ += out.size();
  limit(filled_, value, where);
  value.text = too_large_ ? std::string() : std::move(out);
}

void Substitution::limit(size_t filled, const JsonValue& value, const std::string& where) {
  if (filled <= kMaxFilled || too_large_) return;
  too_large_ = true;
  report_.add("too-large", where, value.line, "the values filled in for $NAMEs make more than 1 MiB");
}

std::string Substitution::resolve(const std::string& name, const JsonValue& value, const std::string& where) {
  used_.insert(name);
  if (forbidden_.contains(name)) {
    report_.add("instance-parameter", where, value.line,
                fmt::format("\"{}\": ${} differs between the instances, and only \"attach\" may name it", where, name));
    return {};
  }
  const auto found = values_.find(name);
  if (found != values_.end()) return too_large_ ? std::string() : found->second;
  report_.add(
      "unresolved-name", where, value.line,
      fmt::format("\"{}\": nothing gives ${} a value; add --set {}=…, or \"{}\" to \"params\"", where, name, name, name));
  return {};
}

std::optional<std::string> read_param(const std::string& name, const JsonValue& value, const std::string& where, Report& report) {
  const bool well_named = !name.empty() && is_name_start(name.front()) && std::ranges::all_of(name, is_name_part);
  if (!well_named)
    report.add("bad-name", where, value.line, fmt::format("\"{}\": a parameter's name is made of letters, digits and '_'", where));
  switch (value.kind) {
    case Kind::kString: return value.text;
    case Kind::kBool:
    case Kind::kSigned:
    case Kind::kUnsigned:
    case Kind::kFloat: return dump_json(value);
    case Kind::kNull:
    case Kind::kArray:
    case Kind::kObject: (void)expect_kind(report, value, where, Kind::kString); break;
  }
  return std::nullopt;
}

Values take_params(JsonValue& document, Report& report) {
  Values params;
  JsonValue* value = document.find("params");
  if (value != nullptr && expect_kind(report, *value, "params", Kind::kObject)) {
    for (auto& [name, param] : value->members)
      if (auto text = read_param(name, param, "params." + name, report)) params[name] = *std::move(text);
  }
  std::erase_if(document.members, [](const auto& member) { return member.first == "params"; });
  return params;
}

void check_set(const Values& set, const Values& declared, const std::set<std::string>& used, Report& report) {
  std::set<std::string> known = used;
  for (const auto& [name, value] : declared) known.insert(name);
  const std::vector<std::string> candidates(known.begin(), known.end());
  for (const auto& [name, value] : set) {
    if (known.contains(name)) continue;
    report.add("unused-set", name, 0, fmt::format("--set {}: the manifest has no ${}{}", name, name, suggestion(name, candidates)));
  }
}

bool refers_to(const JsonValue& value, const std::set<std::string>& names) {
  for (size_t at = 0; at < value.text.size(); ++at) {
    if (value.text[at] != '$') continue;
    if (at + 1 < value.text.size() && value.text[at + 1] == '$') ++at;
    else if (names.contains(reference_at(value.text, at).name)) return true;
  }
  return std::ranges::any_of(value.items, [&](const JsonValue& item) { return refers_to(item, names); }) ||
         std::ranges::any_of(value.members, [&](const auto& member) { return refers_to(member.second, names); });
}

void escape_dollars(JsonValue& value) {
  for (size_t at = value.text.find('$'); at != std::string::npos; at = value.text.find('$', at + 2))
    value.text.insert(at, 1, '$');
  for (JsonValue& item : value.items) escape_dollars(item);
  for (auto& [key, member] : value.members) escape_dollars(member);
}

}  // namespace mapshift::config
