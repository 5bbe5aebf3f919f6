// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "update/field_ops.h"
#include "update/merge/merge_policy.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_match.h"
#include "update/schema_diff_union.h"

namespace mapshift::update {

namespace {

constexpr uint32_t kGroups = 64, kFirstWideGroup = 48;

struct MergeChoice {
  Merge merge = Merge::kLatest;
  std::string origin = "default";
  std::string reason = {};
};

bool known(const ValueLayout& value) {
  return value.type && value.type->kind != TypeKind::kOpaque && value.type->kind != TypeKind::kVoid;
}

bool same_shape(const Field& a, const Field& b) {
  if (a.path != b.path || a.kind != b.kind || a.offset != b.offset || a.size != b.size) return false;
  if (a.dims.size() != b.dims.size() || a.bits.size() != b.bits.size()) return false;
  for (size_t d = 0; d < a.dims.size(); ++d)
    if (a.dims[d].count != b.dims[d].count || a.dims[d].stride != b.dims[d].stride) return false;
  for (size_t i = 0; i < a.bits.size(); ++i)
    if (a.bits[i].bit_offset != b.bits[i].bit_offset || a.bits[i].bit_size != b.bits[i].bit_size) return false;
  if (a.kind == FieldKind::kUnion) return same_bytes(a.type, b.type);
  if (a.kind != FieldKind::kEnum) return true;
  const EnumMatch match = match_enums(*a.type, *b.type);
  return match.problem.empty() && match.remap.values.empty();
}

class Differ {
 public:
  explicit Differ(const SchemaRequest& request)
      : request_(request),
        old_(read_layout(request.old_value.type, request.old_value.size, request.where)),
        new_(read_layout(request.new_value.type, request.new_value.size, request.where)) {}

  SchemaDiff run() && {
    if (!known(request_.old_value) || !known(request_.new_value)) {
      compare_opaque();
      return std::move(out_);
    }
    check_types();
    Match match = request_.transform.empty() ? match_fields(old_, new_, request_.rules, request_.where)
                                             : match_itself(new_.fields.size());
    append(out_.warnings, match.warnings);
    append(out_.refusals, match.refusals);
    expand(match);
    out_.identical = request_.old_value.size == request_.new_value.size && match.refusals.empty() && old_.locks == new_.locks;
    if (request_.old_value.size != request_.new_value.size)
      differ(fmt::format("the value's size changed from {} to {} bytes", request_.old_value.size, request_.new_value.size));
    compare_locks();
    for (size_t i = 0; i < new_.fields.size(); ++i) {
      if (new_.fields[i].expanded) continue;
      if (match.old_of_new[i]) both(old_.fields[*match.old_of_new[i]], new_.fields[i]);
      else added(new_.fields[i]);
    }
    for (size_t j = 0; j < old_.fields.size(); ++j)
      if (!match.old_used[j]) dropped(old_.fields[j]);
    arrange_unions(out_.ops, out_.unions, kGroups - 1, locked());
    check_limits();
    return std::move(out_);
  }

 private:
  template <class T>
  static void append(std::vector<T>& to, const std::vector<T>& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  std::string at(const Field& field) const { return fmt::format("{}.fields.{}", request_.where, field.path); }
  void differ(std::string what) {
    out_.identical = false;
    out_.differences.push_back(std::move(what));
  }
  void lossy(const std::string& what) { out_.lossy += (out_.lossy.empty() ? "" : "; ") + what; }
  bool small() const { return request_.old_value.size <= kMaxSyncValueSize && request_.new_value.size <= kMaxSyncValueSize; }

  void compare_opaque() {
    out_.opaque = true;
    out_.identical = request_.old_value.size == request_.new_value.size;
    if (!out_.identical)
      differ(fmt::format("the value's size changed from {} to {} bytes", request_.old_value.size, request_.new_value.size));
    const char* side = known(request_.old_value) ? "new" : "old";
    out_.refusals.push_back({"no-btf", request_.where,
                             fmt::format("the values of the {} generation have no type information (BTF), so that nothing but a map of "
                                         "the same size can be reused: declare the map with __type(value, …) and compile with -g", side)});
  }

  void check_types() {
    append(out_.refusals, old_.problems);
    append(out_.refusals, new_.problems);
    append(out_.reuse_refusals, old_.problems);
    append(out_.reuse_refusals, new_.problems);
    if (!old_.locks.empty()) out_.lock0 = static_cast<int32_t>(old_.locks.front().offset);
    if (request_.lock0) out_.lock0 = *request_.lock0;
    if (!new_.locks.empty()) out_.lock1 = static_cast<int32_t>(new_.locks.front().offset);
    for (const std::string& special : united(old_.specials, new_.specials)) {
      Problem problem{"special-field", request_.where,
                      fmt::format("{} belongs to the kernel and can neither be copied nor be left behind safely: timers, work queues, "
                                  "kernel pointers, lists and trees are not supported", special)};
      out_.refusals.push_back(problem);
      out_.reuse_refusals.push_back(std::move(problem));
    }
  }

  void expand(Match& match) {
    unions_ = expand_unions(old_, request_.old_value.size, new_, request_.new_value.size, match, request_.rules, request_.where);
    append(out_.refusals, unions_.refusals);
    append(out_.warnings, unions_.warnings);
    append(out_.notes, unions_.notes);
    out_.unions = unions_.unions;
  }

  // Where nothing holds them together a sync may meet a value between the store of its discriminator and those of its member.
  std::string torn(const Field& after) const {
    if (after.in_union == 0 || locked()) return {};
    const SyncUnion& of = unions_.unions.at(after.in_union - 1u);
    const auto hint = request_.infer ? request_.infer(of.offset0, old_size(of.size0), of.offset1, of.size1) : std::nullopt;
    if (hint && hint->merge != Merge::kFirst)
      return fmt::format("its discriminator changes while others may read it ({}): use a bpf_spin_lock, or delete the key and insert it anew", hint->reason);
    return hint || request_.code_known ? std::string() : "the programs could not be analysed to the end: they may change its discriminator in place";
  }

  void compare_locks() {
    if (out_.lock0 < 0 && out_.lock1 < 0) return;
    if (out_.lock0 >= 0 && out_.lock1 >= 0) {
      out_.notes.push_back(fmt::format("values are read and written under their lock ({})", new_.locks.front().path));
      if (out_.lock0 != out_.lock1)
        differ(fmt::format("the lock {} moved from byte {} to {}", new_.locks.front().path, out_.lock0, out_.lock1));
      return;
    }
    const bool added = out_.lock1 >= 0;
    const std::string path = added ? new_.locks.front().path : old_.locks.empty() ? "of the value" : old_.locks.front().path;
    differ(fmt::format("{}: the lock is {}", path, added ? "new" : "gone"));
    out_.notes.push_back(fmt::format("the lock {} is taken in the {} generation only", path, added ? "new" : "old"));
  }

  // Under a lock that both generations take, plain changes are as safe as atomic ones.
  bool locked() const { return out_.lock0 >= 0 && out_.lock1 >= 0; }

  static Match match_itself(size_t fields) {
    Match match{{}, std::vector<bool>(fields, true), {}, {}};
    for (size_t i = 0; i < fields; ++i) match.old_of_new.emplace_back(i);
    return match;
  }

  // What the old programs do, they do to another layout when a function converts it.
  uint32_t old_size(uint64_t size) const { return request_.transform.empty() ? static_cast<uint32_t>(size) : 0; }

  static std::set<std::string> united(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    std::set<std::string> all(a.begin(), a.end());
    all.insert(b.begin(), b.end());
    return all;
  }

  void both(const Field& before, const Field& after) {
    FieldPair pair{&before, &after, Merge::kLatest, request_.old_value.size, request_.new_value.size};
    if (!small()) {
      if (!same_shape(before, after)) differ(fmt::format("{}: {} to {}", after.path, describe(before), describe(after)));
      return;
    }
    const std::optional<InferredMerge> hint = infer(before, after);
    const MergeChoice choice = choose(pair, hint);
    pair.merge = choice.merge;
    FieldOps made = make_field_ops(pair);
    if (!made.refusal.empty()) out_.refusals.push_back({made.refusal_code, at(after), fmt::format("{}: {}", after.path, made.refusal)});
    if (!made.warning.empty()) out_.warnings.push_back({"field", at(after), fmt::format("{}: {}", after.path, made.warning)});
    if (!made.lossy.empty()) lossy(fmt::format("{}: {}", after.path, made.lossy));
    if (request_.add_up && choice.merge != Merge::kSum)
      out_.refusals.push_back({"per-cpu", at(after),
                               fmt::format("{} is merged as {}, and only sums of all CPUs can become one value: declare it sum (MS_SUM) if it "
                                           "is a counter, or keep the map per CPU", after.path, policy_of(choice.merge).name)});
    record(before, after, choice, made, hint);
    if (!request_.transform.empty())  // what the function does not write
      if (const auto value = default_of(after)) add_default(after, *value);
    compare(before, after, made);
    // A lock lets all of a value be written together.
    const bool wide = !locked() && std::any_of(made.ops.begin(), made.ops.end(), [](const SyncField& op) { return op.wide; });
    const uint16_t group = choice.merge == Merge::kLatest ? group_of(after, wide) : uint16_t{0};
    for (SyncField& op : made.ops) {
      op.group = group;
      op.in_union = after.in_union;
      op.arm = after.arm;
      op.zero = after.zero;
    }
    take(std::move(made));
  }

  void record(const Field& before, const Field& after, const MergeChoice& choice, const FieldOps& made,
              const std::optional<InferredMerge>& hint) {
    std::string inexact = made.inexact;
    if (!locked() && !made.late.empty()) inexact += (inexact.empty() ? "" : "; ") + made.late;
    const bool own_slot = request_.percpu && request_.preempted.empty();
    if (!own_slot && policy_of(choice.merge).needs_atomic) {
      if (hint && !hint->atomic && !(locked() && hint->locked))
        inexact += fmt::format("{}changed without an atomic instruction ({}){}: a change that meets a sync can be lost",
                               inexact.empty() ? "" : "; ", hint->reason,
                               request_.percpu ? " by a program that may be preempted (" + request_.preempted + ")" : "");
      else if (!hint && !request_.code_known && !locked())
        inexact += fmt::format("{}the programs could not be analysed to the end: changes without an atomic instruction cannot be excluded",
                               inexact.empty() ? "" : "; ");
    }
    if (const std::string why = torn(after); !why.empty()) inexact += (inexact.empty() ? "" : "; ") + why;
    FieldRecord entry{after.path, before.path, std::string(policy_of(choice.merge).name), choice.origin};
    entry.when = after.when;
    entry.exact = inexact.empty();
    entry.reason = inexact.empty() ? choice.reason : inexact;
    entry.change = made.change;
    if (!request_.transform.empty()) {
      entry.from.clear();
      entry.change = fmt::format("converted by {}", request_.transform);
    }
    if (before.path != after.path) {
      const std::string how = last_part(before.path) == last_part(after.path) ? "moved" : "renamed";
      entry.change = entry.change.empty() ? how : how + ", " + entry.change;
    }
    out_.fields.push_back(std::move(entry));
  }

  void compare(const Field& before, const Field& after, const FieldOps& made) {
    if (same_shape(before, after)) return;
    std::string what;
    if (before.path != after.path) what += fmt::format("renamed from {}", before.path);
    if (!made.change.empty()) what += (what.empty() ? "" : ", ") + made.change;
    if (before.offset != after.offset)
      what += fmt::format("{}moved from byte {} to {}", what.empty() ? "" : ", ", before.offset, after.offset);
    if (what.empty()) what = fmt::format("{} to {}", describe(before), describe(after));
    differ(fmt::format("{}: {}", after.path, what));
  }

  void take(FieldOps made) {
    if (!made.remap.values.empty()) {
      for (SyncField& op : made.ops) op.remap = static_cast<int32_t>(out_.remaps.size());
      out_.remaps.push_back(std::move(made.remap));
    }
    append(out_.ops, made.ops);
  }

  std::optional<int64_t> default_of(const Field& field) const {
    const EffectiveRule rule = rule_for(field, request_.rules);
    return rule.default_value ? rule.default_value : field.tags.default_value;
  }

  void added(const Field& field) {
    const EffectiveRule rule = rule_for(field, request_.rules);
    const std::optional<int64_t> value = default_of(field);
    const auto merge = rule.merge ? rule.merge : field.tags.merge;
    FieldRecord entry{field.path, "", std::string(policy_of(merge.value_or(Merge::kLatest)).name),
                      rule.merge ? "manifest" : field.tags.merge ? "declared" : "default"};
    entry.change = "new";
    entry.when = field.when;
    if (request_.section) {
      entry.change = "new, initial value of the object";
      if (rule.default_value)
        out_.warnings.push_back({"unused-default", at(field), fmt::format("{} starts with its initial value in the object: \"default\" "
                                                                          "is for fields of map values", field.path)});
    } else if (value) {
      entry.change = fmt::format("new, default {}", *value);
      add_default(field, *value);
    }
    out_.fields.push_back(std::move(entry));
    differ(fmt::format("{}: new", field.path));
  }

  void add_default(const Field& field, int64_t value) {
    DefaultOps made = make_defaults(field, value);
    if (field.in_union != 0) made = {{}, fmt::format("{} is in a member of a union, which has no defaults", field.path)};
    if (!made.refusal.empty()) out_.refusals.push_back({"bad-default", at(field), made.refusal});
    if (small()) append(out_.defaults, made.defaults);
  }

  void dropped(const Field& field) {
    FieldRecord entry{"", field.path, "", ""};
    entry.reason = "after the swap it keeps its last value in the old map";
    entry.change = "dropped";
    out_.fields.push_back(std::move(entry));
    differ(fmt::format("{}: dropped", field.path));
  }

  // The fields of one value belong together: group 0. Variables have nothing to do with each other; and a field that cannot
  // be written in place would keep its whole group from being written, so it stands alone. The engine knows 64 groups: when
  // they run out they are shared, which costs conflicts and nothing else.
  uint16_t group_of(const Field& field, bool wide) {
    if (wide) return static_cast<uint16_t>(kFirstWideGroup + wide_groups_++ % (kGroups - kFirstWideGroup));
    if (!request_.section) return 0;
    const std::string variable = field.path.substr(0, field.path.find('.'));
    const auto next = static_cast<uint16_t>(1 + groups_.size() % (kFirstWideGroup - 1));
    return groups_.emplace(variable, next).first->second;
  }

  // First the field as a whole, for additions at a variable offset; then element by element, if all say the same.
  std::optional<InferredMerge> infer(const Field& before, const Field& after) const {
    if (!request_.infer) return std::nullopt;
    const bool dense = extent(before) == element_count(before) * before.size && extent(after) == element_count(after) * after.size;
    std::optional<InferredMerge> whole;
    if (dense) whole = request_.infer(before.offset, old_size(extent(before)), after.offset, static_cast<uint32_t>(extent(after)));
    if (whole && !whole->warn) return whole;
    const std::optional<InferredMerge> all = infer_elements(before, after);
    return all && (!whole || all->merge != Merge::kLatest) ? all : whole;
  }

  std::optional<InferredMerge> infer_elements(const Field& before, const Field& after) const {
    const Field a = as_elements(before), b = as_elements(after);
    std::optional<InferredMerge> all;
    for (const auto& [offset0, offset1] : element_offsets(a, b)) {
      const auto one = request_.infer(offset0, old_size(a.size), offset1, b.size);
      if (!one) continue;
      if (all && all->merge != one->merge)
        return InferredMerge{Merge::kLatest, fmt::format("its elements are used in different ways ({}; {})", all->reason, one->reason), false, true};
      const bool atomic = one->atomic && (!all || all->atomic);
      if (!all || !one->atomic) all = one;
      all->atomic = atomic;
    }
    return all;
  }

  MergeChoice choose(FieldPair pair, const std::optional<InferredMerge>& hint) {
    const Field &before = *pair.old_field, &after = *pair.new_field;
    const EffectiveRule rule = rule_for(after, request_.rules);
    if (const auto of = unions_.discriminates.find(after.path); of != unions_.discriminates.end())
      return discriminator(after, rule.merge ? rule.merge : after.tags.merge ? after.tags.merge : before.tags.merge, of->second);
    if (rule.merge) return doubted(after, {*rule.merge, "manifest", {}}, hint);
    if (after.tags.merge) return doubted(after, {*after.tags.merge, "declared", {}}, hint);
    if (before.tags.merge) return doubted(after, {*before.tags.merge, "declared", "declared in the old generation"}, hint);
    if (!hint) return {};
    if (hint->warn)
      out_.warnings.push_back({"declare-merge", at(after), fmt::format("{}: {}; declare how it is merged (MS_SUM, MS_LATEST, … or "
                                                                       "\"merge\" in the manifest)", after.path, hint->reason)});
    pair.merge = hint->merge;
    const std::string unfit = make_field_ops(pair).refusal_code == "bad-merge" ? merge_unfit(pair) : "";
    if (make_field_ops(pair).refusal_code != "bad-merge") return {hint->merge, "inferred", hint->reason};
    const std::string name(policy_of(hint->merge).name);
    out_.warnings.push_back({"declare-merge", at(after),
                             fmt::format("{} looks like {} ({}), but is merged as latest{}{}", after.path, name, hint->reason,
                                         unfit.empty() ? "" : ": ", unfit)});
    return {Merge::kLatest, "default", fmt::format("not {}: {}", name, unfit.empty() ? "its values moved" : unfit)};
  }

  MergeChoice discriminator(const Field& field, std::optional<Merge> said, const std::string& of) {
    if (said && *said != Merge::kLatest)
      out_.refusals.push_back({"bad-merge", at(field), fmt::format("{} is declared {}, and it says which member of {} is in use: only latest keeps "
                                                                   "them together", field.path, policy_of(*said).name, of)});
    return {Merge::kLatest, said ? "declared" : "default", fmt::format("it says which member of {} is in use", of)};
  }

  MergeChoice doubted(const Field& field, MergeChoice choice, const std::optional<InferredMerge>& hint) {
    if (field.in_union != 0) return choice;  // the bytes are those of other members as well
    if (choice.merge == Merge::kSum && hint && hint->merge != Merge::kSum)
      out_.warnings.push_back({"doubtful-sum", at(field), fmt::format("{} is declared sum, but the programs do not only add to it: {}",
                                                                      field.path, hint->reason)});
    return choice;
  }

  void check_limits() {
    const auto too_many = [&](const char* what, size_t count, size_t limit) {
      if (count > limit)
        out_.refusals.push_back({"too-many-fields", request_.where,
                                 fmt::format("synchronising needs {} {}, and {} is the limit: declare large tables as bytes or split "
                                             "the value", count, what, limit)});
    };
    if (!small())
      out_.refusals.push_back({"value-too-large", request_.where,
                               fmt::format("values of {} bytes cannot be synchronised: {} is the limit",
                                           std::max(request_.old_value.size, request_.new_value.size), kMaxSyncValueSize)});
    size_t moved = 0;
    for (const SyncRemap& remap : out_.remaps) moved += remap.values.size();
    too_many("elements", out_.ops.size(), kMaxSyncFields);
    too_many("defaults", out_.defaults.size(), kMaxSyncDefaults);
    too_many("moved enum values", moved, kMaxSyncRemapValues);
    size_t declared = 0;
    for (const SyncUnion& one : out_.unions) declared += one.values.size();
    too_many("declared values of discriminators", declared, kMaxSyncArms);
  }

  const SchemaRequest& request_;
  Layout old_, new_;
  SchemaDiff out_ = {};
  ExpandedUnions unions_ = {};
  std::map<std::string, uint16_t> groups_ = {};  // of variables
  uint32_t wide_groups_ = 0;
};

}  // namespace

SchemaDiff diff_values(const SchemaRequest& request) { return Differ(request).run(); }

}  // namespace mapshift::update
