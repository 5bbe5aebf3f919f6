// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff_union.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "update/field_ops.h"
#include "update/schema_diff_tags.h"

namespace mapshift::update {

namespace {

constexpr size_t kMaxMembers = 64;  // of one union

std::string parent_of(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? std::string() : path.substr(0, dot);
}

struct NamedMember {
  const Member* member = nullptr;
  std::string path;
};

// Aliases are the paths of the members that have a name, in their order.
std::optional<NamedMember> find_member(const Field& of, std::string_view name) {
  size_t named = 0;
  for (const Member& member : of.type->members) {
    if (member.name.empty()) continue;
    if (named >= of.aliases.size()) break;
    if (member.name == name) return NamedMember{&member, of.aliases[named]};
    ++named;
  }
  return std::nullopt;
}

uint64_t cut(int64_t value, uint32_t size) {
  return size >= 8 ? static_cast<uint64_t>(value) : static_cast<uint64_t>(value) & ((uint64_t{1} << (size * 8)) - 1);
}

// Of a value that the old generation cannot write: with this bit no discriminator of up to 4 bytes is equal to it.
constexpr uint64_t kNeverRead = uint64_t{1} << 63;

bool fits(int64_t value, const Field& field) {
  if (field.size >= 8) return field.is_signed || value >= 0;
  const int64_t end = int64_t{1} << (field.size * 8);
  return field.is_signed ? value >= -end / 2 && value < end / 2 : value >= 0 && value < end;
}

const Enumerator* enumerator(const Field& field, std::string_view name) {
  if (field.kind != FieldKind::kEnum || !field.type) return nullptr;
  const auto found = std::ranges::find(field.type->enumerators, name, &Enumerator::name);
  return found == field.type->enumerators.end() ? nullptr : &*found;
}

class Expansion {
 public:
  Expansion(Layout& before, uint32_t old_size, Layout& after, uint32_t new_size, Match& match, const std::map<std::string, FieldRule>& rules,
            const std::string& where, ExpandedUnions& out)
      : before_(before), after_(after), old_size_(old_size), new_size_(new_size), match_(match), rules_(rules), where_(where), out_(out) {}

  void run() {
    for (size_t i = after_.fields.size(); i-- > 0;) {  // from the end, so that what is put in moves nothing that is still to come
      if (!match_.old_of_new[i]) continue;
      const Field now = after_.fields[i], was = before_.fields[*match_.old_of_new[i]];
      if (now.kind != FieldKind::kUnion || was.kind != FieldKind::kUnion) continue;
      const UnionRule* rule = union_rule(was, now, rules_);
      if (rule != nullptr) expand(i, was, now, UnionRule(*rule));
    }
  }

 private:
  struct Tag {
    Field was, now;
  };
  struct Arm {
    std::string member;
    std::string when;
    uint8_t number = 0;
  };

  void refuse(const Field& at, const std::string& why) {
    out_.refusals.push_back({"union", fmt::format("{}.fields.{}", where_, at.path), fmt::format("{}: {}", at.path, why)});
  }

  std::optional<Tag> find_tag(const Field& now, const std::string& name) {
    for (const std::string& path : {join_path(parent_of(now.path), name), name}) {
      const auto found = std::ranges::find(after_.fields, path, &Field::path);
      if (found == after_.fields.end()) continue;
      const auto& old_index = match_.old_of_new[static_cast<size_t>(found - after_.fields.begin())];
      const auto whole = [](const Field& f) {
        return (f.kind == FieldKind::kInt || f.kind == FieldKind::kEnum || f.kind == FieldKind::kBool) && f.dims.empty() && f.offset % f.size == 0;
      };
      if (!old_index) {
        refuse(now, fmt::format("its discriminator {} is new, so that nothing says which member the old values hold: convert them with a function "
                                "(\"transform\")", path));
        return std::nullopt;
      }
      if (found->in_union != 0) {
        refuse(now, fmt::format("its discriminator {} lies in a member of another union", path));
        return std::nullopt;
      }
      if (whole(*found) && whole(before_.fields[*old_index])) return Tag{before_.fields[*old_index], *found};
      refuse(now, fmt::format("its discriminator {} must be a whole aligned integer or an enum in both generations, and no array", path));
      return std::nullopt;
    }
    refuse(now, fmt::format("its discriminator {} is not a field of the value", name));
    return std::nullopt;
  }

  // The value as each generation writes it: enumerators by their names, which may have moved.
  std::optional<SyncArm> value_of(const Field& at, const Tag& tag, const std::string& text) {
    const std::optional<int64_t> number = parse_c_integer(text);
    const Enumerator* now = enumerator(tag.now, text);
    if (!number && now == nullptr) {
      refuse(at, fmt::format("\"{}\" is neither a number nor an enumerator of its discriminator {}", text, tag.now.path));
      return std::nullopt;
    }
    const int64_t value1 = now != nullptr ? now->value : *number;
    std::string name = text;
    if (now == nullptr && tag.now.kind == FieldKind::kEnum)
      for (const Enumerator& one : tag.now.type->enumerators)
        if (one.value == value1) name = one.name;
    const Enumerator* was = enumerator(tag.was, name);
    const int64_t value0 = was != nullptr ? was->value : value1;
    if (!fits(value1, tag.now)) {
      refuse(at, fmt::format("{} does not fit into its discriminator {} ({})", text, tag.now.path, describe(tag.now)));
      return std::nullopt;
    }
    SyncArm value{cut(value0, tag.was.size), cut(value1, tag.now.size), 0};
    const bool widened = tag.was.size < tag.now.size && !fits(value1, tag.was);
    if (was == nullptr && (widened || moved_away(tag, value1)) && tag.was.size < 8) value.value0 = value.value1 | kNeverRead;
    return value;
  }

  // What the old generation means by it has another value now.
  static bool moved_away(const Tag& tag, int64_t value) {
    if (tag.was.kind != FieldKind::kEnum || !tag.was.type) return false;
    return std::ranges::any_of(tag.was.type->enumerators, [&](const Enumerator& one) {
      const Enumerator* now = enumerator(tag.now, one.name);
      return one.value == value && now != nullptr && now->value != value;
    });
  }

  std::optional<SyncUnion> read_values(const Field& now, const Tag& tag, const UnionRule& rule, std::vector<Arm>& arms) {
    SyncUnion one{static_cast<uint16_t>(tag.was.offset), static_cast<uint16_t>(tag.now.offset), static_cast<uint8_t>(tag.was.size),
                  static_cast<uint8_t>(tag.now.size)};
    for (const auto& [text, member] : rule.when) {
      auto value = value_of(now, tag, text);
      if (!value) return std::nullopt;
      auto arm = std::ranges::find(arms, member, &Arm::member);
      if (arm == arms.end()) arm = arms.insert(arms.end(), {member, {}, static_cast<uint8_t>(arms.size() + 1)});
      value->arm = arm->number;
      arm->when += fmt::format("{}{}", arm->when.empty() ? tag.now.path + " is " : " or ", text);
      const auto clash = std::ranges::find_if(one.values, [&](const SyncArm& other) { return other.value0 == value->value0 || other.value1 == value->value1; });
      if (clash != one.values.end() && clash->arm != value->arm) {
        refuse(now, fmt::format("{} of its discriminator stands for more than one member in the same generation", text));
        return std::nullopt;
      }
      one.values.push_back(*value);
      if (arms.size() > kMaxMembers || one.values.size() > kMaxSyncArms) {
        refuse(now, fmt::format("its discriminator has more than {} values", kMaxSyncArms));
        return std::nullopt;
      }
    }
    if (!one.values.empty()) return one;
    refuse(now, "nothing says which value of its discriminator stands for which member (MS_WHEN, or \"when\" in the manifest)");
    return std::nullopt;
  }

  void expand(size_t index, const Field& was, const Field& now, const UnionRule& rule) {
    if (!was.dims.empty() || !now.dims.empty())
      return refuse(now, "a discriminator serves a union that is not in an array: convert the value with a function (\"transform\")");
    if (std::max(was.type->members.size(), now.type->members.size()) > kMaxMembers)
      return refuse(now, fmt::format("it has more than {} members", kMaxMembers));
    const std::optional<Tag> tag = find_tag(now, rule.discriminator);
    if (!tag) return;
    std::vector<Arm> arms;
    auto one = read_values(now, *tag, rule, arms);
    if (!one) return;
    if (out_.unions.size() >= kMaxSyncUnions) return refuse(now, fmt::format("at most {} unions of a value have a discriminator", kMaxSyncUnions));
    out_.discriminates[tag->now.path] += fmt::format("{}{}", out_.discriminates[tag->now.path].empty() ? "" : ", ", now.path);
    out_.notes.push_back(fmt::format("{}: {} says which member is in use; with a value that is not declared {}, and counted", now.path, tag->now.path,
                                     rule.zero ? "the other generation gets zero" : "the bytes are carried as they are"));
    out_.unions.push_back(std::move(*one));
    number_ = static_cast<uint8_t>(out_.unions.size());
    at_ = index;
    after_.fields[index].expanded = before_.fields[*match_.old_of_new[index]].expanded = true;
    for (const Arm& arm : arms) add_arm(was, now, arm);
    add_rest(was, now, rule, tag->now.path);
    tell_dropped(was, now);
  }

  void add_arm(const Field& was, const Field& now, const Arm& arm) {
    const auto member = find_member(now, arm.member);
    if (!member) return refuse(now, fmt::format("it has no member {}", arm.member));
    const Layout new_arm = read(*member, now, new_size_);
    for (const Field& field : new_arm.fields) {
      if (field.kind != FieldKind::kUnion || union_rule(field, field, rules_) == nullptr) continue;
      refuse(field, "it lies in a member of another union, where a discriminator is not served: convert the value with a function (\"transform\")");
    }
    const auto old_member = find_old(was, *member);
    if (!old_member) {
      out_.warnings.push_back({"union", fmt::format("{}.fields.{}", where_, member->path),
                               fmt::format("{} is a new member of its union, which the old generation cannot read after a rollback", member->path)});
      for (const Field& field : new_arm.fields) put(field, arm, std::nullopt);
      return;
    }
    const Layout old_arm = read(*old_member, was, old_size_);
    const Match pairs = match_fields(old_arm, new_arm, rules_, where_);
    out_.refusals.insert(out_.refusals.end(), pairs.refusals.begin(), pairs.refusals.end());
    out_.warnings.insert(out_.warnings.end(), pairs.warnings.begin(), pairs.warnings.end());
    const size_t first = before_.fields.size();
    for (size_t j = 0; j < old_arm.fields.size(); ++j) add_old(old_arm.fields[j], arm, pairs.old_used[j]);
    for (size_t i = 0; i < new_arm.fields.size(); ++i)
      put(new_arm.fields[i], arm, pairs.old_of_new[i] ? std::optional(first + *pairs.old_of_new[i]) : std::nullopt);
  }

  std::optional<NamedMember> find_old(const Field& was, const NamedMember& member) const {
    const auto rule = rules_.find(member.path);
    std::vector<Problem> told;
    std::string from = rule == rules_.end() ? std::string() : rule->second.from;
    if (from.empty()) from = read_tags(member.member->tags, "", told).from;
    if (!from.empty())
      if (auto found = find_member(was, last_part(from))) return found;
    return find_member(was, member.member->name);
  }

  Layout read(const NamedMember& member, const Field& of, uint32_t size) {
    Layout layout;
    if (member.member->bit_size != 0) refuse(of, fmt::format("its member {} is a bit-field", member.path));
    else layout = read_union_member(*member.member, of, member.path, size, where_);
    out_.refusals.insert(out_.refusals.end(), layout.problems.begin(), layout.problems.end());
    if (!layout.specials.empty() || !layout.locks.empty()) refuse(of, fmt::format("its member {} holds what belongs to the kernel", member.path));
    return layout;
  }

  // With a value that is not declared: the bytes that both generations' unions have.
  void add_rest(const Field& was, const Field& now, const UnionRule& rule, const std::string& tag) {
    Field bytes;
    bytes.path = now.path;
    bytes.kind = FieldKind::kBytes;
    bytes.zero = rule.zero;
    bytes.size = std::min(was.size, now.size);
    const Arm rest{{}, tag + " is none of these", 0};
    bytes.offset = was.offset;
    add_old(bytes, rest, true);
    bytes.offset = now.offset;
    put(bytes, rest, before_.fields.size() - 1);
  }

  // A member without a value, or that is gone, is nobody's: its values count as not declared.
  void tell_dropped(const Field& was, const Field& now) {
    for (const Member& member : was.type->members) {
      if (member.name.empty() || find_member(now, member.name)) continue;
      const auto renamed = std::ranges::any_of(now.type->members, [&](const Member& other) {
        const auto named = other.name.empty() ? std::nullopt : find_member(now, other.name);
        const auto old_member = named ? find_old(was, *named) : std::nullopt;
        return old_member && old_member->member->name == member.name;
      });
      if (!renamed)
        out_.warnings.push_back({"union", fmt::format("{}.fields.{}", where_, now.path),
                                 fmt::format("the member {} is not in the new generation: values that hold it count as not declared", member.name)});
    }
  }

  void add_old(Field field, const Arm& arm, bool used) {
    field.in_union = number_;
    field.arm = arm.number;
    before_.fields.push_back(std::move(field));
    match_.old_used.push_back(used);
  }

  void put(Field field, const Arm& arm, std::optional<size_t> old_index) {
    field.in_union = number_;
    field.arm = arm.number;
    field.when = arm.when;
    ++at_;
    after_.fields.insert(after_.fields.begin() + static_cast<ptrdiff_t>(at_), std::move(field));
    match_.old_of_new.insert(match_.old_of_new.begin() + static_cast<ptrdiff_t>(at_), old_index);
  }

  Layout &before_, &after_;
  uint32_t old_size_, new_size_;
  Match& match_;
  const std::map<std::string, FieldRule>& rules_;
  const std::string& where_;
  ExpandedUnions& out_;
  uint8_t number_ = 0;  // of the union at work, from 1
  size_t at_ = 0;       // behind which the next field of the new layout is put
};

bool is_discriminator(const SyncField& op, const SyncUnion& of) {
  return (op.in_union == 0 || op.arm == kDiscriminator) && op.offset0 == of.offset0 && op.offset1 == of.offset1;
}

}  // namespace

const UnionRule* union_rule(const Field& before, const Field& after, const std::map<std::string, FieldRule>& rules) {
  const auto said = [&](const std::string& path) -> const UnionRule* {
    const auto found = rules.find(path);
    return found != rules.end() && found->second.in_union ? &*found->second.in_union : nullptr;
  };
  if (const UnionRule* rule = said(after.path)) return rule;
  for (const std::string& alias : after.aliases)
    if (const UnionRule* rule = said(alias)) return rule;
  if (after.tags.in_union) return &*after.tags.in_union;
  return before.tags.in_union ? &*before.tags.in_union : nullptr;
}

ExpandedUnions expand_unions(Layout& before, uint32_t old_size, Layout& after, uint32_t new_size, Match& match,
                             const std::map<std::string, FieldRule>& rules, const std::string& where) {
  ExpandedUnions out;
  Expansion(before, old_size, after, new_size, match, rules, where, out).run();
  return out;
}

void arrange_unions(std::vector<SyncField>& ops, const std::vector<SyncUnion>& unions, uint16_t lone_group, bool locked) {
  for (size_t u = 0; u < unions.size(); ++u) {
    const auto tag = std::ranges::find_if(ops, [&](const SyncField& op) { return is_discriminator(op, unions[u]); });
    if (tag == ops.end()) continue;
    const auto of_tag = [&](const SyncField& op) {  // of any union that has this discriminator
      return op.in_union != 0 && op.arm != kDiscriminator && unions[op.in_union - 1u].offset0 == tag->offset0 && unions[op.in_union - 1u].offset1 == tag->offset1;
    };
    const bool wide = !locked && std::ranges::any_of(ops, [&](const SyncField& op) { return of_tag(op) && op.wide; });
    if (wide && tag->arm != kDiscriminator) tag->group = lone_group--;
    if (tag->arm != kDiscriminator) tag->in_union = static_cast<uint8_t>(u + 1);
    tag->arm = kDiscriminator;
    for (SyncField& op : ops)
      if (of_tag(op)) op.group = tag->group;
  }
  std::ranges::stable_partition(ops, [](const SyncField& op) { return op.in_union != 0 && op.arm != kDiscriminator; });
}

}  // namespace mapshift::update
