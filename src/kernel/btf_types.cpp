// SPDX-License-Identifier: Apache-2.0
// BTF types to the pure model.
#include <fmt/format.h>

#include <algorithm>

#include "kernel/btf_impl.h"

namespace mapshift {
namespace {

tl::unexpected<Error> bad_type(const std::string& name, const std::string& what) {
  return fail(ErrorCode::kInvalid, fmt::format("the BTF of type \"{}\" is wrong: {}; compile the object again", name, what));
}

TypeRef leaf(TypeKind kind, std::string name, uint32_t size, std::vector<std::string> tags) {
  auto out = std::make_shared<Type>();
  out->kind = kind;
  out->name = std::move(name);
  out->size = size;
  out->tags = std::move(tags);
  return out;
}

bool is_alias(const btf_type* type) {
  return btf_is_typedef(type) || btf_is_mod(type) || btf_kind(type) == BTF_KIND_TYPE_TAG;
}

// Bit-fields are coded in the member (kind_flag) or, by older compilers, in the integer's own encoding.
uint32_t bit_field_size(const btf_type* owner, uint32_t index, const btf_type* member) {
  if (BTF_INFO_KFLAG(owner->info)) return btf_member_bitfield_size(owner, index);
  if (btf_is_int(member) && btf_int_bits(member) != member->size * 8) return btf_int_bits(member);
  return 0;
}

}  // namespace

Status BtfTypes::Impl::spend(uint32_t count) {
  nodes += count;
  if (nodes <= kMaxTypeNodes) return {};
  return fail(ErrorCode::kTooLarge, fmt::format("the object's map types have more than {} members", kMaxTypeNodes));
}

Result<TypeRef> BtfTypes::Impl::convert(uint32_t id, uint32_t depth) {
  const auto found = done.find(id);
  const uint32_t below = found == done.end() ? 0 : extent_of(*found->second).height;
  if (depth + below > kMaxTypeDepth) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} is nested deeper than {} levels, or contains itself; use fewer levels of typedefs, "
                                                  "structs and arrays", title_of(id), kMaxTypeDepth));
  }
  if (found != done.end()) return found->second;
  MS_CHECK(spend(1));
  MS_TRY(auto out, convert_new(id, at(id), depth));
  const Extent extent = extent_of(*out);
  if (extent.members > kMaxWrittenMembers) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} has more than {} members where each type in it is written out; make it smaller",
                                                  title_of(id), kMaxWrittenMembers));
  }
  extents[out.get()] = extent;
  done[id] = out;
  return out;
}

// No more than kMaxTypeMembers children of kMaxWrittenMembers each: 32 bits hold their sum.
BtfTypes::Impl::Extent BtfTypes::Impl::extent_of(const Type& type) const {
  if (const auto found = extents.find(&type); found != extents.end()) return found->second;
  Extent out;
  const auto child = [&](const TypeRef& ref) {
    const auto found = extents.find(ref.get());
    const Extent below = found == extents.end() ? Extent{} : found->second;
    out.height = std::max(out.height, 1 + below.height);
    out.members += below.members;
  };
  if (type.element) child(type.element);
  for (const auto& member : type.members) child(member.type);
  return out;
}

Result<TypeRef> BtfTypes::Impl::convert_new(uint32_t id, const btf_type* type, uint32_t depth) {
  if (is_alias(type)) return convert_alias(id, type, depth);
  switch (btf_kind(type)) {
    case BTF_KIND_INT: {
      auto out = std::make_shared<Type>();
      out->kind = TypeKind::kInt;
      out->name = name_at(type->name_off);
      out->size = type->size;
      out->is_signed = (btf_int_encoding(type) & BTF_INT_SIGNED) != 0;
      out->is_bool = (btf_int_encoding(type) & BTF_INT_BOOL) != 0;
      out->tags = tags_of(id, -1);
      return TypeRef(out);
    }
    case BTF_KIND_FLOAT: return leaf(TypeKind::kFloat, name_at(type->name_off), type->size, tags_of(id, -1));
    case BTF_KIND_PTR: return convert_pointer(id, type);
    case BTF_KIND_ARRAY: return convert_array(type, depth);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return convert_struct(id, type, depth);
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64: return convert_enum(id, type);
    case BTF_KIND_FWD: return leaf(TypeKind::kOpaque, name_at(type->name_off), 0, {});
    default: return leaf(TypeKind::kVoid, {}, 0, {});  // an open set: functions and void have no size
  }
}

// Typedefs and qualifiers give their tags, and an unnamed type its name, to a copy of what they stand for.
Result<TypeRef> BtfTypes::Impl::convert_alias(uint32_t id, const btf_type* type, uint32_t depth) {
  MS_TRY(auto target, convert(type->type, depth + 1));
  const auto marks = tags_of(id, -1);
  const bool rename = btf_is_typedef(type) && (target->name.empty() || target->kind == TypeKind::kInt);
  if (marks.empty() && !rename) return target;
  auto out = std::make_shared<Type>(*target);
  if (rename) out->name = name_at(type->name_off);
  out->tags.insert(out->tags.end(), marks.begin(), marks.end());
  return TypeRef(out);
}

TypeRef BtfTypes::Impl::convert_pointer(uint32_t id, const btf_type* type) {
  auto marks = tags_of(id, -1);
  uint32_t target = type->type;
  for (uint32_t hop = 0; hop < kMaxTypeDepth && is_alias(at(target)); ++hop) {
    if (btf_kind(at(target)) == BTF_KIND_TYPE_TAG) marks.push_back(name_at(at(target)->name_off));
    target = at(target)->type;
  }
  return leaf(TypeKind::kPointer, name_at(at(target)->name_off), 8, std::move(marks));
}

Result<TypeRef> BtfTypes::Impl::convert_array(const btf_type* type, uint32_t depth) {
  const auto* array = btf_array(type);
  MS_TRY(auto element, convert(array->type, depth + 1));
  const uint64_t size = uint64_t{element->size} * array->nelems;
  if (size > UINT32_MAX / 8) return bad_type(element->name, fmt::format("an array of {} elements of {} bytes", array->nelems, element->size));
  auto out = std::make_shared<Type>();
  out->kind = TypeKind::kArray;
  out->size = static_cast<uint32_t>(size);
  out->count = array->nelems;
  out->element = std::move(element);
  return TypeRef(out);
}

Result<TypeRef> BtfTypes::Impl::convert_struct(uint32_t id, const btf_type* type, uint32_t depth) {
  auto out = std::make_shared<Type>();
  out->kind = btf_is_union(type) ? TypeKind::kUnion : TypeKind::kStruct;
  out->name = name_at(type->name_off);
  out->size = type->size;
  out->tags = tags_of(id, -1);
  const uint32_t count = btf_vlen(type);
  if (count > kMaxTypeMembers) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("struct \"{}\" has {} members, at most {} are read", out->name, count, kMaxTypeMembers));
  }
  MS_CHECK(spend(count));
  for (uint32_t i = 0; i < count; ++i) {
    const btf_member& member = btf_members(type)[i];
    MS_TRY(auto model, convert(member.type, depth + 1));
    Member field{name_at(member.name_off), btf_member_bit_offset(type, i), 0, model, tags_of(id, static_cast<int>(i))};
    field.bit_size = bit_field_size(type, i, at(member.type));
    const uint64_t bits = field.bit_size != 0 ? field.bit_size : uint64_t{model->size} * 8;
    if (field.bit_offset + bits > uint64_t{type->size} * 8) {
      return bad_type(out->name, fmt::format("member \"{}\" lies outside of it", field.name));
    }
    if (field.bit_size == 0 && field.bit_offset % 8 != 0) {
      return bad_type(out->name, fmt::format("member \"{}\" is not at a byte", field.name));
    }
    out->members.push_back(std::move(field));
  }
  return TypeRef(out);
}

Result<TypeRef> BtfTypes::Impl::convert_enum(uint32_t id, const btf_type* type) {
  auto out = std::make_shared<Type>();
  out->kind = TypeKind::kEnum;
  out->name = name_at(type->name_off);
  out->size = type->size;
  out->is_signed = BTF_INFO_KFLAG(type->info);
  out->tags = tags_of(id, -1);
  const uint32_t count = btf_vlen(type);
  if (count > kMaxTypeMembers) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("enum \"{}\" has {} values, at most {} are read", out->name, count, kMaxTypeMembers));
  }
  MS_CHECK(spend(count));
  for (uint32_t i = 0; i < count; ++i) {
    if (btf_is_enum64(type)) {
      const auto* value = &btf_enum64(type)[i];
      out->enumerators.push_back({name_at(value->name_off), static_cast<int64_t>(btf_enum64_value(value))});
    } else {
      const auto* value = &btf_enum(type)[i];
      out->enumerators.push_back(
          {name_at(value->name_off), out->is_signed ? int64_t{value->val} : int64_t{static_cast<uint32_t>(value->val)}});
    }
  }
  return TypeRef(out);
}

}  // namespace mapshift
