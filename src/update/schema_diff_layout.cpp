// SPDX-License-Identifier: Apache-2.0
#include "update/schema_diff_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "update/schema_diff_tags.h"

namespace mapshift::update {

namespace {

// Structures of the kernel's that live in map values and hold more than bytes (btf_parse_fields in kernel/bpf/btf.c).
constexpr std::array<std::string_view, 10> kSpecialTypes = {
    "bpf_timer",   "bpf_wq",      "bpf_task_work", "bpf_list_head", "bpf_list_node",
    "bpf_rb_root", "bpf_rb_node", "bpf_refcount",  "bpf_dynptr",    "bpf_res_spin_lock",
};
constexpr std::string_view kLockType = "bpf_spin_lock";
constexpr uint32_t kLockSize = 4;
constexpr std::array<std::string_view, 5> kKernelPointerTags = {"kptr", "kptr_untrusted", "percpu_kptr", "uptr", "kptr_ref"};
constexpr uint32_t kMaxFields = 4096;
constexpr uint32_t kMaxVisits = 65536;
// Larger values are never synchronised, so overlaps in them hurt nobody.
constexpr uint32_t kMaxClaimedSize = 1U << 20;

template <class Names>
bool contains(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool machine_size(uint32_t size) { return size == 1 || size == 2 || size == 4 || size == 8; }

FieldKind kind_of(const Type& type) {
  switch (type.kind) {
    case TypeKind::kInt:
      if (type.is_bool) return FieldKind::kBool;
      return machine_size(type.size) ? FieldKind::kInt : FieldKind::kBytes;
    case TypeKind::kEnum: return FieldKind::kEnum;
    case TypeKind::kFloat: return machine_size(type.size) ? FieldKind::kFloat : FieldKind::kBytes;
    case TypeKind::kPointer: return FieldKind::kPointer;
    case TypeKind::kUnion: return FieldKind::kUnion;
    case TypeKind::kVoid:
    case TypeKind::kArray:
    case TypeKind::kStruct:
    case TypeKind::kOpaque: return FieldKind::kBytes;
  }
  return FieldKind::kBytes;
}

// Where the walk is: what the members below inherit.
struct Place {
  std::string path;
  std::string from;     // the same place in the old layout when a structure around it was renamed
  std::string from_abs; // the same, reading the tag as a whole path
  uint64_t offset = 0;  // bytes
  std::vector<Dimension> dims = {};
  std::optional<Merge> merge = {};
  std::optional<int64_t> default_value = {};
  std::optional<UnionRule> in_union = {};  // of this very place, not of what is below
  bool anonymous = false;
  uint32_t depth = 0;
};

class Walk {
 public:
  Walk(uint32_t size, std::string where, Layout& out)
      : size_(size), where_(std::move(where)), used_(size <= kMaxClaimedSize ? size : 0, false), out_(out) {}

  void visit(const TypeRef& type, const Place& at) {
    if (failed_ || !type || type->size == 0) return;
    if (++visits_ > kMaxVisits) return bad("it is too large to read");
    if (at.depth > kMaxTypeDepth) return bad(fmt::format("its type nests deeper than {} levels", kMaxTypeDepth));
    if (special(*type, at)) return;
    if (type->kind == TypeKind::kStruct) return visit_members(*type, at);
    if (type->kind == TypeKind::kUnion && type->members.size() == 1) return visit_members(*type, at);
    if (type->kind == TypeKind::kArray) return visit_array(type, at);
    leaf(type, at);
  }

 private:
  bool special(const Type& type, const Place& at) {
    const std::string path = at.path.empty() ? "value" : at.path;
    if (type.kind == TypeKind::kStruct && type.name == kLockType) {
      lock(type, at);
      return true;
    }
    if (type.kind == TypeKind::kStruct && contains(kSpecialTypes, type.name)) {
      out_.specials.push_back(fmt::format("{} (struct {})", path, type.name));
      return true;
    }
    if (type.kind != TypeKind::kPointer) return false;
    for (const std::string& tag : type.tags) {
      if (!contains(kKernelPointerTags, tag)) continue;
      out_.specials.push_back(fmt::format("{} ({})", path, tag));
      return true;
    }
    return false;
  }

  // The kernel takes a structure of that name for a lock only where it is a member of the value itself (btf_find_struct_field).
  void lock(const Type& type, const Place& at) {
    if (type.size != kLockSize) return bad(fmt::format("{} has {} bytes, and a lock has {}", at.path, type.size, kLockSize));
    if (at.depth != 1 || !at.dims.empty() || !out_.locks.empty())
      return bad(fmt::format("{} is not the one lock that the kernel allows as a direct member of the value", at.path));
    if (at.offset % kLockSize != 0 || at.offset + kLockSize > size_)
      return bad(fmt::format("the lock {} does not lie at a multiple of {} within the value", at.path, kLockSize));
    Field place;
    place.path = at.path;
    place.offset = static_cast<uint32_t>(at.offset);
    place.size = kLockSize;
    if (claim(place)) out_.locks.push_back({at.path, place.offset});
  }

  Place below(const Place& at, const Member& member, bool of_union = false) {
    Place place = at;
    const RawTags tags = read_tags(member.tags, where_of(join_path(at.path, member.name)), out_.problems);
    place.path = join_path(at.path, member.name);
    place.from = join_path(at.from, tags.from.empty() ? member.name : tags.from);
    place.from_abs = tags.from.empty() ? join_path(at.from_abs, member.name) : tags.from;
    if (tags.merge) place.merge = tags.merge;
    if (tags.default_value) place.default_value = tags.default_value;
    place.in_union.reset();
    if (!tags.when.empty() && !of_union) misplaced("MS_WHEN", place.path);
    if (!tags.discriminator.empty()) place.in_union = UnionRule{tags.discriminator, {}, tags.zero};
    place.offset = at.offset + member.bit_offset / 8;
    place.anonymous = member.name.empty();
    ++place.depth;
    return place;
  }

  void visit_members(const Type& type, const Place& at) {
    std::vector<const Member*> run;
    for (const Member& member : type.members) {
      if (failed_) return;
      if (member.bit_size != 0) {
        if (!member.name.empty()) run.push_back(&member);
        continue;
      }
      flush_bits(run, at);
      if (member.type) visit(member.type, below(at, member, type.kind == TypeKind::kUnion));
    }
    flush_bits(run, at);
  }

  // Bit-fields that follow each other are one leaf: the bytes that hold them.
  void flush_bits(std::vector<const Member*>& run, const Place& at) {
    if (run.empty()) return;
    const Member& first = *run.front();
    const uint32_t begin = first.bit_offset / 8;
    Place place = below(at, first);
    Field field;
    field.kind = FieldKind::kBits;
    uint64_t end = begin;
    std::string names;
    for (const Member* member : run) {
      end = std::max<uint64_t>(end, (uint64_t{member->bit_offset} + member->bit_size + 7) / 8);
      names += (names.empty() ? "" : "|") + member->name;
      field.aliases.push_back(join_path(at.path, member->name));
      Member relative = *member;
      relative.bit_offset = member->bit_offset < begin * 8 ? UINT32_MAX : member->bit_offset - begin * 8;
      field.bits.push_back(std::move(relative));
    }
    run.clear();
    if (end > size_) return bad(fmt::format("the bit-fields {} lie outside of the value", names));
    field.size = static_cast<uint32_t>(end - begin);
    place.path = join_path(at.path, names);
    add(std::move(field), place);
  }

  void visit_array(const TypeRef& type, const Place& at) {
    const TypeRef& element = type->element;
    if (!element || element->size == 0 || type->count == 0) return;
    if (element->kind == TypeKind::kInt && element->size == 1 && !element->is_bool) {
      Field field;
      field.kind = FieldKind::kBytes;
      field.size = type->count;
      field.is_signed = element->is_signed;
      field.resizable = true;
      field.type = type;
      return add(std::move(field), at);
    }
    Place place = at;
    place.dims.push_back({type->count, element->size});
    ++place.depth;
    visit(element, place);
  }

  void leaf(const TypeRef& type, const Place& at) {
    Field field;
    field.kind = kind_of(*type);
    field.size = type->size;
    field.is_signed = type->is_signed;
    field.type = type;
    Place place = at;
    if (field.kind == FieldKind::kUnion) name_union(*type, field, place);
    else if (place.in_union) misplaced("MS_UNION", place.path);
    add(std::move(field), place);
  }

  // An anonymous union goes by the names that programs use for it. Tags on its members count for the whole.
  void name_union(const Type& type, Field& field, Place& place) {
    std::string names;
    const RawTags own = read_tags(type.tags, where_of(place.path), out_.problems);  // an anonymous one has no other place for them
    if (!own.discriminator.empty()) place.in_union = UnionRule{own.discriminator, {}, own.zero};
    for (const Member& member : type.members) {
      if (member.name.empty()) continue;
      names += (names.empty() ? "" : "|") + member.name;
      field.aliases.push_back(join_path(place.path, member.name));
      const RawTags tags = read_tags(member.tags, where_of(field.aliases.back()), out_.problems);
      if (tags.merge && !place.in_union) place.merge = tags.merge;
      if (!tags.when.empty() && !place.in_union) misplaced("MS_WHEN", field.aliases.back());
      for (const std::string& value : tags.when)
        if (place.in_union) place.in_union->when[value] = member.name;
    }
    if (place.anonymous) place.path = join_path(place.path, names.empty() ? "union" : names);
  }

  void add(Field field, const Place& at) {
    if (out_.fields.size() >= kMaxFields) return bad(fmt::format("it has more than {} fields", kMaxFields));
    field.path = at.path.empty() ? "value" : at.path;
    if (at.offset + field.size > size_) return bad(fmt::format("{} lies outside of its {} bytes", field.path, size_));
    field.offset = static_cast<uint32_t>(at.offset);
    field.dims = at.dims;
    field.tags.merge = at.merge;
    field.tags.default_value = at.default_value;
    if (field.kind == FieldKind::kUnion) field.tags.in_union = at.in_union;
    for (const std::string& from : {at.from, at.from_abs})
      if (!from.empty() && from != field.path && !contains(field.tags.from, from)) field.tags.from.push_back(from);
    if (!claim(field)) return;
    out_.fields.push_back(std::move(field));
  }

  // Marks the bytes of every element; two fields on one byte, or one beyond the end, would make the engine write over
  // state that is not the field's. The first clash ends the walk, so the work is bounded by the value's size.
  bool claim(const Field& field) {
    if (extent(field) + field.offset > size_) {
      bad(fmt::format("{} reaches beyond its {} bytes", field.path, size_));
      return false;
    }
    if (used_.empty()) return true;
    std::vector<uint32_t> index(field.dims.size(), 0);
    do {
      uint64_t at = field.offset;
      for (size_t d = 0; d < index.size(); ++d) at += uint64_t{index[d]} * field.dims[d].stride;
      for (uint64_t byte = at; byte < at + field.size && byte < used_.size(); ++byte) {
        if (used_[byte]) {
          bad(fmt::format("{} overlaps another field at byte {}", field.path, byte));
          return false;
        }
        used_[byte] = true;
      }
    } while (advance(index, field));
    return true;
  }

  static bool advance(std::vector<uint32_t>& index, const Field& field) {
    for (size_t d = index.size(); d-- > 0;) {
      if (++index[d] < field.dims[d].count) return true;
      index[d] = 0;
    }
    return false;
  }

  void misplaced(const char* tag, const std::string& path) {
    out_.problems.push_back({"bad-tag", where_of(path), fmt::format("{} belongs to a union with a discriminator, and {} is none of that kind", tag, path)});
  }
  std::string where_of(const std::string& path) const { return where_ + ".fields." + path; }
  void bad(std::string what) {
    if (!failed_) out_.problems.push_back({"bad-layout", where_, "the type information contradicts itself: " + what});
    failed_ = true;
  }

  uint32_t size_;
  std::string where_;
  std::vector<bool> used_;
  Layout& out_;
  uint32_t visits_ = 0;
  bool failed_ = false;
};

std::string scalar_name(const Field& field) {
  switch (field.kind) {
    case FieldKind::kInt: return fmt::format("{}{}", field.is_signed ? 's' : 'u', field.size * 8);
    case FieldKind::kBool: return "bool";
    case FieldKind::kEnum: return field.type && !field.type->name.empty() ? "enum " + field.type->name : "enum";
    case FieldKind::kFloat: return fmt::format("f{}", field.size * 8);
    case FieldKind::kPointer: return "pointer";
    case FieldKind::kBytes: return fmt::format("{} bytes", field.size);
    case FieldKind::kBits: return fmt::format("bit-fields of {} bytes", field.size);
    case FieldKind::kUnion: return fmt::format("union of {} bytes", field.size);
  }
  return "bytes";
}

void add_epochs(const TypeRef& type, uint32_t depth, uint32_t& budget, int64_t& sum) {
  if (!type || depth > kMaxTypeDepth || budget == 0) return;
  --budget;
  std::vector<Problem> ignored;  // read_layout reports them
  const int64_t epoch = read_tags(type->tags, "", ignored).epoch.value_or(0);
  sum = static_cast<int64_t>(static_cast<uint64_t>(sum) + static_cast<uint64_t>(epoch));
  if (type->kind == TypeKind::kArray) add_epochs(type->element, depth + 1, budget, sum);
  for (const Member& member : type->members) add_epochs(member.type, depth + 1, budget, sum);
}

bool same_bytes_below(const TypeRef& a, const TypeRef& b, uint32_t depth, uint32_t& budget) {
  if (a == b) return true;
  if (!a || !b || depth > kMaxTypeDepth || budget == 0) return false;
  --budget;
  if (a->kind != b->kind || a->size != b->size || a->is_bool != b->is_bool) return false;
  if (a->count != b->count || a->members.size() != b->members.size()) return false;
  if (a->kind == TypeKind::kArray && !same_bytes_below(a->element, b->element, depth + 1, budget)) return false;
  for (size_t i = 0; i < a->members.size(); ++i) {
    const Member &x = a->members[i], &y = b->members[i];
    if (x.bit_offset != y.bit_offset || x.bit_size != y.bit_size) return false;
    if (!same_bytes_below(x.type, y.type, depth + 1, budget)) return false;
  }
  return true;
}

}  // namespace

Layout read_layout(const TypeRef& type, uint32_t size, const std::string& where) {
  Layout layout;
  if (!type) return layout;
  if (type->size > size) {
    layout.problems.push_back({"bad-layout", where, fmt::format("its type has {} bytes, the map's values have {}", type->size, size)});
    return layout;
  }
  Walk(size, where, layout).visit(type, Place{});
  return layout;
}

Layout read_union_member(const Member& member, const Field& of, const std::string& path, uint32_t size, const std::string& where) {
  Layout layout;
  const RawTags tags = read_tags(member.tags, where, layout.problems);
  Place place{path, path, path, of.offset + member.bit_offset / 8, {}, tags.merge ? tags.merge : of.tags.merge};
  const size_t dot = path.rfind('.');
  if (!tags.from.empty()) place.from = place.from_abs = join_path(dot == std::string::npos ? "" : path.substr(0, dot), tags.from);
  place.depth = 2;
  if (member.type) Walk(size, where, layout).visit(member.type, place);
  return layout;
}

int64_t epoch_of(const TypeRef& type) {
  int64_t sum = 0;
  uint32_t budget = kMaxVisits;
  add_epochs(type, 0, budget, sum);
  return sum;
}

bool same_bytes(const TypeRef& a, const TypeRef& b) {
  uint32_t budget = kMaxVisits;
  return same_bytes_below(a, b, 0, budget);
}

std::string join_path(std::string_view parent, std::string_view name) {
  if (parent.empty()) return std::string(name);
  if (name.empty()) return std::string(parent);
  return fmt::format("{}.{}", parent, name);
}

Field as_elements(Field field) {
  if (field.kind != FieldKind::kBytes || !field.resizable) return field;
  field.dims.push_back({field.size, 1});
  field.kind = FieldKind::kInt;
  field.size = 1;
  field.resizable = false;
  return field;
}

uint64_t element_count(const Field& field) {
  uint64_t count = 1;
  for (const Dimension& dim : field.dims)
    if (__builtin_mul_overflow(count, uint64_t{dim.count}, &count)) return UINT64_MAX;
  return count;
}

uint64_t extent(const Field& field) {
  uint64_t end = field.size;
  for (const Dimension& dim : field.dims)
    if (__builtin_add_overflow(end, uint64_t{dim.count - 1} * dim.stride, &end)) return UINT32_MAX;
  return std::min<uint64_t>(end, UINT32_MAX);
}

std::string describe(const Field& field) {
  std::string text = scalar_name(field);
  for (const Dimension& dim : field.dims) text += fmt::format("[{}]", dim.count);
  return text;
}

}  // namespace mapshift::update
