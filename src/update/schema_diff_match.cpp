// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff_match.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "update/names.h"

namespace mapshift::update {

namespace {

std::string place(const std::string& where, const Field& field) { return fmt::format("{}.fields.{}", where, field.path); }

std::vector<std::string> paths_of(const Layout& layout) {
  std::vector<std::string> paths;
  for (const Field& field : layout.fields) paths.push_back(field.path);
  return paths;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    parts.push_back(path.substr(begin, dot - begin));
    begin = dot + 1;
  }
  return parts;
}

// Whether leaving structures out of the one path gives the other.
bool wraps(const std::string& outer, const std::string& inner) {
  const std::vector<std::string> a = parts_of(outer), b = parts_of(inner);
  size_t found = 0;
  for (const std::string& part : a)
    if (found < b.size() && part == b[found]) ++found;
  return found == b.size();
}

bool same_type(const Field& a, const Field& b) {
  if (a.kind != b.kind || a.size != b.size || a.is_signed != b.is_signed || a.dims.size() != b.dims.size()) return false;
  for (size_t d = 0; d < a.dims.size(); ++d)
    if (a.dims[d].count != b.dims[d].count) return false;
  if (a.kind == FieldKind::kUnion || a.kind == FieldKind::kBits) return false;  // they have no leaf name of their own
  return a.kind != FieldKind::kEnum || a.type->name == b.type->name;
}

std::map<std::string, std::vector<size_t>> by_leaf(const Layout& layout) {
  std::map<std::string, std::vector<size_t>> all;
  for (size_t i = 0; i < layout.fields.size(); ++i) all[last_part(layout.fields[i].path)].push_back(i);
  return all;
}

class Matcher {
 public:
  Matcher(const Layout& old_layout, const Layout& new_layout, const std::map<std::string, FieldRule>& rules, std::string where)
      : old_(old_layout), new_(new_layout), rules_(rules), where_(std::move(where)) {
    for (size_t i = 0; i < old_.fields.size(); ++i) {
      by_path_.emplace(old_.fields[i].path, i);
      for (const std::string& alias : old_.fields[i].aliases) by_path_.emplace(alias, i);
    }
    out_.old_of_new.resize(new_.fields.size());
    out_.old_used.resize(old_.fields.size());
  }

  Match run() && {
    std::vector<std::optional<size_t>> claimed_by(old_.fields.size());
    for (size_t i = 0; i < new_.fields.size(); ++i) {
      const auto old_index = find(new_.fields[i]);
      if (!old_index) continue;
      if (claimed_by[*old_index]) {
        clash(new_.fields[*claimed_by[*old_index]], new_.fields[i], old_.fields[*old_index]);
        continue;
      }
      claimed_by[*old_index] = i;
      out_.old_of_new[i] = old_index;
      out_.old_used[*old_index] = true;
    }
    follow_moved();
    follow_unions();
    check_regrouped();
    hint_moved();
    return std::move(out_);
  }

 private:
  std::optional<size_t> at(const std::string& path) const {
    const auto it = by_path_.find(path);
    if (it == by_path_.end()) return std::nullopt;
    return it->second;
  }

  // The old name may be gone because the rename happened in an earlier update: then the field is found by its own path.
  std::optional<size_t> find(const Field& field) {
    const EffectiveRule rule = rule_for(field, rules_);
    if (!rule.from.empty()) {
      if (const auto found = at(rule.from)) return found;
      if (const auto found = own(field)) return found;
      if (rule.from_exact)
        out_.refusals.push_back(unknown_name("field", rule.from, "the old generation", place(where_, field) + ".from", paths_of(old_)));
      return std::nullopt;
    }
    for (const std::string& from : field.tags.from)
      if (const auto found = at(from)) return found;
    const auto found = own(field);
    if (!found && !field.tags.from.empty())
      out_.warnings.push_back({"unknown-name", place(where_, field),
                               fmt::format("it is declared as renamed from {}, which the old generation does not have: it starts anew",
                                           field.tags.from.front())});
    return found;
  }

  std::optional<size_t> own(const Field& field) const {
    const auto found = at(field.path);
    if (found && old_.fields[*found].path != field.path) return std::nullopt;  // only part of that field
    return found;
  }

  void clash(const Field& a, const Field& b, const Field& old_field) {
    out_.refusals.push_back({"duplicate-from", place(where_, b),
                             fmt::format("{} and {} both continue {} of the old generation: give one of them another name or \"from\"",
                                         a.path, b.path, old_field.path)});
  }

  void follow_moved() {
    const auto before = by_leaf(old_), after = by_leaf(new_);
    for (const auto& [leaf, places] : after) {
      const auto was = before.find(leaf);
      if (places.size() != 1 || was == before.end() || was->second.size() != 1) continue;
      const size_t i = places.front(), j = was->second.front();
      if (out_.old_of_new[i] || out_.old_used[j]) continue;
      const Field &now = new_.fields[i], &then = old_.fields[j];
      if (!same_type(then, now) || (!wraps(now.path, then.path) && !wraps(then.path, now.path))) continue;
      out_.old_of_new[i] = j;
      out_.old_used[j] = true;
    }
  }

  // An anonymous union goes by the names of its members, of which it may have got some.
  void follow_unions() {
    for (size_t i = 0; i < new_.fields.size(); ++i) {
      const Field& now = new_.fields[i];
      if (out_.old_of_new[i] || now.kind != FieldKind::kUnion) continue;
      for (const std::string& alias : now.aliases) {
        const auto was = at(alias);
        if (!was || out_.old_used[*was] || old_.fields[*was].kind != FieldKind::kUnion) continue;
        out_.old_of_new[i] = was;
        out_.old_used[*was] = true;
        break;
      }
    }
  }

  // Bit-fields and union members that kept their names though their surroundings changed would silently start at zero.
  void check_regrouped() {
    std::multimap<std::string, size_t> unused;  // old fields by every name of theirs
    for (size_t j = 0; j < old_.fields.size(); ++j) {
      if (out_.old_used[j]) continue;
      for (const std::string& name : names_of(old_.fields[j])) unused.emplace(name, j);
    }
    for (size_t i = 0; i < new_.fields.size(); ++i) {
      if (out_.old_of_new[i]) continue;
      const Field& field = new_.fields[i];
      for (const std::string& name : names_of(field)) {
        const auto was = unused.find(name);
        if (was == unused.end()) continue;
        const size_t j = was->second;
        const Field& before = old_.fields[j];
        if (out_.old_used[j] || (field.aliases.empty() && before.aliases.empty())) continue;
        const bool bits = field.kind == FieldKind::kBits || before.kind == FieldKind::kBits;
        out_.refusals.push_back({bits ? "bit-fields" : "union", place(where_, field),
                                 fmt::format("{} changed to {}, and no rule converts the one into the other: keep the {} as it was",
                                             before.path, field.path, bits ? "bit-fields" : "union")});
        out_.old_used[j] = true;
        break;
      }
    }
  }

  static std::set<std::string> names_of(const Field& field) {
    std::set<std::string> names(field.aliases.begin(), field.aliases.end());
    names.insert(field.path);
    return names;
  }

  void hint_moved() {
    std::map<std::string, std::string> dropped;
    for (size_t j = 0; j < old_.fields.size(); ++j)
      if (!out_.old_used[j]) dropped.emplace(last_part(old_.fields[j].path), old_.fields[j].path);
    for (size_t i = 0; i < new_.fields.size(); ++i) {
      if (out_.old_of_new[i]) continue;
      const auto it = dropped.find(last_part(new_.fields[i].path));
      if (it == dropped.end()) continue;
      out_.warnings.push_back({"maybe-renamed", place(where_, new_.fields[i]),
                               fmt::format("it is new and {} is dropped: if they are the same, declare \"from\": \"{}\"", it->second,
                                           it->second)});
    }
  }

  const Layout &old_, &new_;
  const std::map<std::string, FieldRule>& rules_;
  std::string where_;
  std::map<std::string, size_t> by_path_ = {};
  Match out_ = {};
};

}  // namespace

std::string last_part(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? path : path.substr(dot + 1);
}

EffectiveRule rule_for(const Field& field, const std::map<std::string, FieldRule>& rules) {
  EffectiveRule out;
  const auto take = [&](const std::string& name, const std::string& rest) {
    const auto it = rules.find(name);
    if (it == rules.end()) return;
    const FieldRule& rule = it->second;
    if (!out.merge) out.merge = rule.merge;
    if (!out.default_value) out.default_value = rule.default_value;
    if (!out.from.empty() || rule.from.empty()) return;
    out.from = join_path(rule.from, rest);
    out.from_exact = rest.empty();
  };
  take(field.path, "");
  for (const std::string& alias : field.aliases) take(alias, "");
  for (size_t dot = field.path.rfind('.'); dot != std::string::npos && dot > 0; dot = field.path.rfind('.', dot - 1))
    take(field.path.substr(0, dot), field.path.substr(dot + 1));
  return out;
}

Match match_fields(const Layout& old_layout, const Layout& new_layout, const std::map<std::string, FieldRule>& rules,
                   const std::string& where) {
  return Matcher(old_layout, new_layout, rules, where).run();
}

}  // namespace mapshift::update
