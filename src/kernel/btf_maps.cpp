// SPDX-License-Identifier: Apache-2.0
// Map definitions: those written in a source (section ".maps"), and those of running maps.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>

#include <optional>

#include "kernel/btf_impl.h"
#include "kernel/map_sizes.h"

namespace mapshift {
namespace {

constexpr size_t kMaxMaps = 1024;

}  // namespace

Result<std::vector<BtfTypes::MapDefinition>> BtfTypes::maps() {
  std::vector<MapDefinition> out;
  const int id = btf__find_by_name_kind(impl_->types.get(), ".maps", BTF_KIND_DATASEC);
  if (id <= 0) return out;
  const btf_type* section = impl_->at(static_cast<uint32_t>(id));
  if (btf_vlen(section) > kMaxMaps) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} maps, at most {} are read", btf_vlen(section), kMaxMaps));
  }
  for (uint32_t i = 0; i < btf_vlen(section); ++i) {
    MS_TRY(auto map, impl_->read_map(btf_var_secinfos(section)[i].type));
    out.push_back(std::move(map));
  }
  return out;
}

namespace {

const btf_type* resolved(const BtfTypes::Impl& types, uint32_t id) {
  const btf_type* type = types.at(id);
  for (uint32_t hop = 0; hop < kMaxTypeDepth && (btf_is_typedef(type) || btf_is_mod(type)); ++hop) type = types.at(type->type);
  return type;
}

// __uint(name, value) is a pointer to an array of `value` elements; __ulong(name, value) an enum of one value.
std::optional<uint32_t> number_of(const BtfTypes::Impl& types, const btf_type* member) {
  if (btf_is_any_enum(member) && btf_vlen(member) == 1) {
    return btf_is_enum64(member) ? btf_enum64(member)->val_lo32 : static_cast<uint32_t>(btf_enum(member)->val);
  }
  if (!btf_is_ptr(member)) return std::nullopt;
  const btf_type* array = types.at(member->type);
  if (!btf_is_array(array)) return std::nullopt;
  return btf_array(array)->nelems;
}

uint32_t* number_slot(MapSpec& spec, uint32_t& type, const std::string& member) {
  if (member == "type") return &type;
  if (member == "key_size") return &spec.key_size;
  if (member == "value_size") return &spec.value_size;
  if (member == "max_entries") return &spec.max_entries;
  if (member == "map_flags") return &spec.flags;
  return nullptr;
}

Status set_type(const std::string& map, const std::string& what, TypeRef type, TypeRef& slot, uint32_t& size) {
  if (type->kind == TypeKind::kOpaque && type->size == 0) {
    return fail(ErrorCode::kInvalid, fmt::format("map \"{0}\": its {1} type \"struct {2}\" is declared in the type information and not defined: the compiler leaves the members "
                                                 "out where nothing but a map inside of a map names the type, and no loader can tell its size; let a function that is not "
                                                 "inlined (__noinline) take a pointer to struct {2} and use a member", map, what, type->name));
  }
  if (size != 0 && size != type->size) {
    return fail(ErrorCode::kInvalid, fmt::format("map \"{}\": {}_size is {}, but its {} type has {} bytes; drop {}_size", map,
                                                 what, size, what, type->size, what));
  }
  size = type->size;
  slot = std::move(type);
  return {};
}

Error of_map(Error error, const std::string& map, const std::string& what) {
  error.message = fmt::format("map \"{}\", its {}: {}", map, what, error.message);
  return error;
}

}  // namespace

Result<BtfTypes::MapDefinition> BtfTypes::Impl::read_map(uint32_t variable_id) {
  MapDefinition out;
  const btf_type* variable = at(variable_id);
  out.spec.name = name_at(variable->name_off);
  const btf_type* definition = btf_is_var(variable) ? resolved(*this, variable->type) : variable;
  MS_CHECK(read_definition(definition, out.spec, true));
  out.definition_size = definition->size;
  return out;
}

Status BtfTypes::Impl::read_definition(const btf_type* definition, MapSpec& spec, bool may_hold_maps) {
  if (!btf_is_struct(definition)) {
    return fail(ErrorCode::kInvalid, fmt::format("map \"{}\" is not defined by a struct; use the __uint and __type macros", spec.name));
  }
  uint32_t type = 0, ignored = 0;
  TypeRef key, value;
  const btf_type* values = nullptr;
  for (uint32_t i = 0; i < btf_vlen(definition); ++i) {
    const btf_member& member = btf_members(definition)[i];
    const std::string name = name_at(member.name_off);
    const btf_type* shape = resolved(*this, member.type);
    if (name == "key" || name == "value") {
      if (!btf_is_ptr(shape)) {
        return fail(ErrorCode::kInvalid, fmt::format("map \"{}\": \"{}\" is not a type; use __type({}, …)", spec.name, name, name));
      }
      auto model = convert(shape->type, 0);
      if (!model) return fail(of_map(std::move(model).error(), spec.name, name));
      (name == "key" ? key : value) = *std::move(model);
      continue;
    }
    if (name == "values") {  // inner maps, programs, or descriptors: always 4 bytes
      values = shape;
      spec.value_size = 4;
      continue;
    }
    uint32_t* slot = number_slot(spec, type, name);
    const auto number = number_of(*this, shape);
    if (slot != nullptr && !number) {
      return fail(ErrorCode::kInvalid, fmt::format("map \"{}\": \"{}\" is not a number; use __uint({}, …)", spec.name, name, name));
    }
    (slot != nullptr ? *slot : ignored) = number.value_or(0);  // others (pinning, map_extra) do not change a layout
  }
  spec.type = static_cast<MapType>(type);
  if (key) MS_CHECK(set_type(spec.name, "key", key, spec.key, spec.key_size));
  if (value) MS_CHECK(set_type(spec.name, "value", value, spec.value, spec.value_size));
  const MapSizes sizes = settled(spec.type, {spec.key_size, spec.value_size});
  if (sizes.key != spec.key_size) spec.key = nullptr;
  if (sizes.value != spec.value_size) spec.value = nullptr;
  spec.key_size = sizes.key;
  spec.value_size = sizes.value;
  if (values == nullptr) return {};
  if (spec.key_size == 0) spec.key_size = 4;
  return may_hold_maps ? read_inner(values, spec) : Status{};
}

// __array(values, struct inner): pointers to the definition of the maps inside. Of a program array they point to a function.
Status BtfTypes::Impl::read_inner(const btf_type* values, MapSpec& spec) {
  if (spec.type != MapType::kArrayOfMaps && spec.type != MapType::kHashOfMaps) return {};
  const btf_type* element = btf_is_array(values) ? resolved(*this, btf_array(values)->type) : values;
  if (btf_is_ptr(element)) element = resolved(*this, element->type);
  MapSpec inner;
  inner.name = spec.name + ".inner";
  MS_CHECK(read_definition(element, inner, false));
  spec.inner = std::make_shared<const MapSpec>(std::move(inner));
  return {};
}

namespace {

Status add_section(BtfTypes& types, uint32_t id, MapSpec& spec) {
  MS_TRY(auto section, types.section(id));
  spec.name = section_map_name(section.name);
  spec.section = data_section_kind(section.name);
  for (auto& entry : section.variables) {
    if (uint64_t{entry.variable.offset} + entry.variable.size > spec.value_size) {
      return fail(ErrorCode::kInvalid,
                  fmt::format("variable \"{}\" lies outside of its running map \"{}\"", entry.variable.name, spec.name));
    }
    spec.variables.push_back(std::move(entry.variable));
  }
  spec.key = section_key_type();
  spec.value = section_value_type(section.name, spec.value_size, spec.variables);
  return {};
}

// The kernel has checked these sizes when the map was made; a map whose BTF disagrees is treated as one without.
Status add_type(BtfTypes& types, uint32_t id, uint32_t size, TypeRef& slot) {
  if (id == 0) return {};
  MS_TRY(auto type, types.type(id));
  if (type->size == size) slot = std::move(type);
  return {};
}

}  // namespace

Result<MapSpec> map_spec_from_fd(int map_fd) {
  bpf_map_info info = {};
  uint32_t length = sizeof(info);
  if (bpf_map_get_info_by_fd(map_fd, &info, &length) != 0) return fail_errno(errno, "read a map's description");
  MapSpec out;
  out.name.assign(info.name, strnlen(info.name, sizeof(info.name)));
  out.type = static_cast<MapType>(info.type);
  out.key_size = info.key_size;
  out.value_size = info.value_size;
  out.max_entries = info.max_entries;
  out.flags = info.map_flags;
  if (info.btf_id == 0 || info.btf_value_type_id == 0) return out;
  MS_TRY(auto types, BtfTypes::from_kernel(info.btf_id));
  if (types.is_section(info.btf_value_type_id)) {
    MS_CHECK(add_section(types, info.btf_value_type_id, out));
    return out;
  }
  MS_CHECK(add_type(types, info.btf_key_type_id, info.key_size, out.key));
  MS_CHECK(add_type(types, info.btf_value_type_id, info.value_size, out.value));
  return out;
}

}  // namespace mapshift
