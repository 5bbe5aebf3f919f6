// SPDX-License-Identifier: Apache-2.0
#include "update/module_check_next.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/bpf.h>

#include <algorithm>

#include "update/inference.h"
#include "update/names.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_section.h"

namespace mapshift::update {
namespace {

constexpr size_t kMaxHoles = 4;       // named in one warning
constexpr size_t kMaxTypeVisits = 4096;
constexpr uint32_t kWordSize = 8;     // what one instruction writes at once

bool holds_state(const MapSpec& map) {
  if (map.section == DataSection::kBss || map.section == DataSection::kData) return true;
  return map.section == DataSection::kNone && (is_array(map.type) || is_lru(map.type) || map.type == MapType::kHash ||
                                               map.type == MapType::kPercpuHash || map.type == MapType::kLpmTrie);
}

class HoleFinder {
 public:
  std::vector<std::string> all = {};

  void visit(const Type& type, const std::string& path, uint32_t depth) {
    if (++visits_ > kMaxTypeVisits || depth > kMaxTypeDepth) return;
    if (type.kind == TypeKind::kArray && type.element) return visit(*type.element, path, depth + 1);
    if (type.kind != TypeKind::kStruct || type.members.empty()) return;
    visits_ += type.members.size();
    std::vector<const Member*> members;
    for (const Member& member : type.members)
      if (member.type) members.push_back(&member);
    std::stable_sort(members.begin(), members.end(), [](const auto* a, const auto* b) { return a->bit_offset < b->bit_offset; });
    uint64_t end = 0;
    std::string before;
    for (const Member* member : members) {
      note(end / 8 + (end % 8 != 0 ? 1 : 0), member->bit_offset / 8, path, before);
      const uint64_t bits = member->bit_size != 0 ? member->bit_size : uint64_t{member->type->size} * 8;
      end = std::max(end, member->bit_offset + bits);
      before = join_path(path, member->name.empty() ? "(unnamed)" : member->name);
      visit(*member->type, before, depth + 1);
    }
    note(end / 8 + (end % 8 != 0 ? 1 : 0), type.size, path, before);
  }

 private:
  void note(uint64_t end, uint64_t begin, const std::string& path, const std::string& before) {
    if (begin <= end) return;
    const uint64_t bytes = begin - end;
    all.push_back(fmt::format("{} byte{} {}", bytes, bytes == 1 ? "" : "s",
                              before.empty() ? fmt::format("at the beginning{}{}", path.empty() ? "" : " of ", path) : "after " + before));
  }
  size_t visits_ = 0;
};

std::string shortened(std::vector<std::string> all) {
  const size_t more = all.size() > kMaxHoles ? all.size() - kMaxHoles : 0;
  if (more != 0) all.resize(kMaxHoles);
  std::string out = fmt::format("{}", fmt::join(all, ", "));
  if (more != 0) out += fmt::format(" and {} more", more);
  return out;
}

class NextVersion {
 public:
  NextVersion(const Manifest& manifest, const ObjectSpec& object)
      : manifest_(manifest), object_(object), facts_(analyse(object)) {}

  std::vector<Problem> run() {
    if (!object_.has_btf) {
      say("no-btf", "object", "it has no type information, so that no layout can ever change: compile it with clang -g -target bpf");
    }
    for (const std::string& text : facts_.gave_up) {
      say("analysis-bounded", "programs",
          fmt::format("the instructions were not followed to the end, so that merges must be declared: {}", text));
    }
    for (const MapSpec& map : object_.maps)
      if (holds_state(map) && !is_change_log(map.name)) check_map(map);
    return std::move(out_);
  }

 private:
  void say(const std::string& code, const std::string& where, std::string message) {
    out_.push_back({code, where, std::move(message)});
  }

  void check_map(const MapSpec& map) {
    const std::string where = "maps." + map.name;
    if (map.value == nullptr && map.variables.empty()) {
      if (map.section == DataSection::kNone && !typed_by_manifest(map))
        say("no-btf", where, "the map's value has no type, so its layout can never change: declare it with __type(key, …) and __type(value, …)");
      return;
    }
    if (map.section == DataSection::kNone) check_holes(map, where);
    const ValueLayout value = value_layout(map);  // of a section: its variables, with their tags
    const Layout layout = read_layout(value.type, value.size, where);
    if (!layout.specials.empty()) {
      say("kernel-owned", where, fmt::format("{} belongs to the kernel and cannot be carried to another layout: keep it in a map of its own",
                                             fmt::join(layout.specials, ", ")));
    }
    for (const Field& field : layout.fields) check_field(map, field, !layout.locks.empty());
  }

  [[nodiscard]] bool typed_by_manifest(const MapSpec& map) const {
    const auto rule = manifest_.maps.find(map.name);
    return rule != manifest_.maps.end() && !rule->second.value_type.empty();
  }

  void check_holes(const MapSpec& map, const std::string& where) {
    if (map.key && !is_array(map.type)) {
      if (const auto holes = holes_in(map.key); !holes.empty())
        say("key-holes", where, fmt::format("the key has bytes that belong to no member ({}): two equal keys differ where a program leaves them "
                                            "unset, and a member put there later changes every key; declare them, and set them to 0",
                                            shortened(holes)));
    }
    if (const auto holes = holes_in(map.value); !holes.empty())
      say("holes", where, fmt::format("the value has bytes that belong to no member ({}): a member that a later version puts there finds what "
                                      "was left there by chance; declare them as padding, and set them to 0", shortened(holes)));
  }

  void check_field(const MapSpec& map, const Field& field, bool has_lock) {
    const auto hint = infer_merge({}, "", facts_, map.name, 0, 0, field.offset, field_size(field));
    if (!hint) return;
    const std::string where = fmt::format("maps.{}.fields.{}", map.name, field.path);
    const std::optional<Merge> declared = declared_merge(map, field);
    if (hint->warn && !declared) {
      say("declare-merge", where, fmt::format("{}: its merge cannot be guessed, say it beside the field: MS_LATEST for a gauge, MS_SUM for a "
                                              "counter", hint->reason));
    }
    const bool shared = !is_percpu(map.type);
    const Merge merge = declared.value_or(hint->merge);
    if (shared && merge == Merge::kSum && !hint->atomic) {
      say("not-atomic", where,
          fmt::format("a counter that is not changed atomically ({}): CPUs lose each other's counts, and an update may lose some too; use "
                      "__sync_fetch_and_add{}", hint->reason, has_lock ? ", or change it under the value's lock only" : ""));
    }
    const bool wide = field.kind == FieldKind::kBytes && field.size > kWordSize;
    if (shared && wide && merge == Merge::kLatest && !hint->locked && (is_array(map.type) || written_in_place(map, field))) {
      say("wide-in-place", where,
          fmt::format("{} bytes are written in place ({}): readers may see half of it, and after a swap a late change cannot be carried over; "
                      "{}give the value a bpf_spin_lock", field.size, hint->reason,
                      is_array(map.type) ? "" : "write it only when the entry is added, or "));
    }
  }

  // An update call exchanges the whole element of a hash, and copies into that of an array.
  [[nodiscard]] bool written_in_place(const MapSpec& map, const Field& field) const {
    if (!facts_.gave_up.empty()) return true;
    return std::ranges::any_of(facts_.fields, [&](const FieldAccess& access) {
      const uint32_t end = access.stride != 0 ? access.end : access.offset + access.size;
      const bool touches = access.map == map.name && access.offset < field.offset + field_size(field) && end > field.offset;
      const bool changes = access.kind != AccessKind::kRead && access.kind != AccessKind::kFeedsAddress && access.kind != AccessKind::kInsertOnly;
      return touches && changes && !is_update_call(access);
    });
  }

  [[nodiscard]] bool is_update_call(const FieldAccess& access) const {
    const auto inlined = object_.subprograms.find(access.function);
    const ProgramSpec* program = find_program(object_, access.function);
    const FunctionSpec* code = program != nullptr ? &program->code : inlined != object_.subprograms.end() ? &inlined->second : nullptr;
    if (code == nullptr || access.insn >= code->insns.size()) return false;
    const Insn& insn = code->insns[access.insn];
    return insn.code == (BPF_JMP | BPF_CALL) && insn.src == 0 && insn.imm == BPF_FUNC_map_update_elem;
  }

  // All elements of an array are one field.
  static uint32_t field_size(const Field& field) {
    const uint64_t whole = extent(field);
    return field.dims.empty() || whole > UINT32_MAX ? field.size : static_cast<uint32_t>(whole);
  }

  [[nodiscard]] std::optional<Merge> declared_merge(const MapSpec& map, const Field& field) const {
    if (const auto rule = manifest_.maps.find(map.name); rule != manifest_.maps.end()) {
      const auto found = rule->second.fields.find(field.path);
      if (found != rule->second.fields.end() && found->second.merge) return found->second.merge;
    }
    return field.tags.merge;
  }

  const Manifest& manifest_;
  const ObjectSpec& object_;
  const CodeFacts facts_;
  std::vector<Problem> out_ = {};
};

}  // namespace

std::vector<std::string> holes_in(const TypeRef& type) {
  HoleFinder finder;
  if (type) finder.visit(*type, "", 0);
  return std::move(finder.all);
}

std::vector<Problem> check_next_version(const Manifest& manifest, const ObjectSpec& object) {
  return NextVersion(manifest, object).run();
}

}  // namespace mapshift::update
