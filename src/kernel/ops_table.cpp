// SPDX-License-Identifier: Apache-2.0
#include "kernel/ops_table.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace mapshift {
namespace {

using Types = std::unique_ptr<btf, void (*)(btf*)>;

const btf_type* resolved(const btf* types, uint32_t id) {
  const btf_type* type = btf__type_by_id(types, id);
  while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type))) type = btf__type_by_id(types, type->type);
  return type;
}

const btf_member* find_member(const btf* types, const btf_type* structure, const char* name) {
  for (int i = 0; structure != nullptr && i < btf_vlen(structure); ++i) {
    const char* found = btf__name_by_offset(types, btf_members(structure)[i].name_off);
    if (found != nullptr && std::strcmp(found, name) == 0) return &btf_members(structure)[i];
  }
  return nullptr;
}

bool is_function_pointer(const btf* types, uint32_t id) {
  const btf_type* type = resolved(types, id);
  const btf_type* target = type != nullptr && btf_is_ptr(type) ? resolved(types, type->type) : nullptr;
  return target != nullptr && btf_is_func_proto(target);
}

// The structure that a variable of the table's name has in the object.
const btf_type* own_structure(const btf* types, const char* table) {
  const int id = btf__find_by_name_kind(types, table, BTF_KIND_VAR);
  const btf_type* variable = id > 0 ? btf__type_by_id(types, static_cast<uint32_t>(id)) : nullptr;
  const btf_type* structure = variable != nullptr ? resolved(types, variable->type) : nullptr;
  return structure != nullptr && btf_is_struct(structure) ? structure : nullptr;
}

struct Copy {
  const btf* own_types;
  const btf_type* own;
  const btf* kernel_types;
  const btf_type* kernel;
  uint32_t kernel_offset;  // of the structure in the map's value
  const std::byte* from;   // in the layout of `own`, with pointers to programs where functions go
  std::vector<std::byte>& to;

  // libbpf has compared both layouts when it loaded the object. What the kernel's structure lacks is zero.
  Status member(const btf_member& own_member) const {
    const char* name = btf__name_by_offset(own_types, own_member.name_off);
    const btf_member* there = find_member(kernel_types, kernel, name);
    if (there == nullptr) return {};
    const int64_t size = btf__resolve_size(own_types, own_member.type);
    const uint32_t begin = own_member.offset / 8, end = kernel_offset + there->offset / 8;
    if (size < 0 || begin + static_cast<uint64_t>(size) > own->size || end + static_cast<uint64_t>(size) > to.size()) {
      return fail(ErrorCode::kInvalid, std::string("the member ") + name + " lies outside of its structure");
    }
    if (!is_function_pointer(own_types, own_member.type)) {
      std::memcpy(to.data() + end, from + begin, static_cast<size_t>(size));
      return {};
    }
    const bpf_program* program = nullptr;
    std::memcpy(&program, from + begin, sizeof program);
    if (program == nullptr) return {};
    const int fd = bpf_program__fd(program);
    if (fd < 0) return fail(ErrorCode::kRefused, std::string("the program of its member ") + name + " is not loaded");
    const auto number = static_cast<uint64_t>(fd);
    std::memcpy(to.data() + end, &number, sizeof number);
    return {};
  }
};

}  // namespace

bpf_map* find_ops_table(const bpf_object* object, const std::string& name) {
  bpf_map* map = bpf_object__find_map_by_name(object, name.c_str());
  return map != nullptr && bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS ? map : nullptr;
}

Status fill_ops_table(const bpf_object* object, const bpf_map* table) {
  const std::string what = std::string("fill the table of functions ") + bpf_map__name(table);
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_map_get_info_by_fd(bpf_map__fd(table), &info, &length) != 0) return fail_errno(errno, what);
  const Types kernel(btf__load_vmlinux_btf(), btf__free);
  if (!kernel) return fail_errno(errno, what + ": read the kernel's types");
  const btf_type* value = btf__type_by_id(kernel.get(), info.btf_vmlinux_value_type_id);
  const btf_member* data = find_member(kernel.get(), value, "data");
  const btf* own_types = bpf_object__btf(object);
  const btf_type* own = own_structure(own_types, bpf_map__name(table));
  const auto* from = static_cast<const std::byte*>(bpf_map__initial_value(table, nullptr));
  if (data == nullptr || own == nullptr || from == nullptr) return fail(ErrorCode::kInvalid,
      what + ": its type is not the kernel's");
  std::vector<std::byte> bytes(info.value_size);
  const Copy copy{own_types, own, kernel.get(), resolved(kernel.get(), data->type), data->offset / 8, from, bytes};
  for (int i = 0; i < btf_vlen(own); ++i) {
    const Status copied = copy.member(btf_members(own)[i]);
    if (!copied) return fail(ErrorCode::kRefused, what + ": " + copied.error().message);
  }
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(table), &zero, bytes.data(), BPF_ANY) != 0) return fail_errno(errno, what);
  return {};
}

}  // namespace mapshift
