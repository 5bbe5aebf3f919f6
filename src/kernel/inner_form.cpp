// SPDX-License-Identifier: Apache-2.0
#include "kernel/inner_form.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <filesystem>

#include "kernel/object.h"

namespace mapshift {
namespace {

Result<Map> create(const MapStats& shape, const char* kernel_name, int btf_fd, uint32_t key_type, uint32_t value_type, const std::string& name) {
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape.flags);
  if (btf_fd >= 0) {
    options.btf_fd = static_cast<uint32_t>(btf_fd);
    options.btf_key_type_id = key_type;
    options.btf_value_type_id = value_type;
  }
  const auto type = static_cast<bpf_map_type>(shape.type);
  int fd = bpf_map_create(type, kernel_name, shape.key_size, shape.value_size, shape.max_entries, &options);
  if (fd < 0 && btf_fd >= 0) {  // of some types the kernel takes none
    options.btf_fd = options.btf_key_type_id = options.btf_value_type_id = 0;
    fd = bpf_map_create(type, kernel_name, shape.key_size, shape.value_size, shape.max_entries, &options);
  }
  if (fd < 0) return fail_errno(errno, "make " + name);
  return Map::from_fd(Fd(fd), name);
}

}  // namespace

std::vector<InnerForm> inner_forms(const bpf_object* object) {
  std::vector<InnerForm> forms;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    bpf_map* inner = bpf_map__inner_map(map);
    if (inner == nullptr) continue;
    MapStats shape;
    shape.type = static_cast<MapType>(bpf_map__type(inner));
    shape.key_size = bpf_map__key_size(inner);
    shape.value_size = bpf_map__value_size(inner);
    shape.max_entries = 1;
    shape.flags = bpf_map__map_flags(inner);
    forms.push_back({map_name(map), shape, bpf_map__btf_key_type_id(inner), bpf_map__btf_value_type_id(inner)});
  }
  return forms;
}

Result<Map> make_template(const InnerForm& form, int btf_fd) {
  return create(form.shape, "ms_inner", btf_fd, form.key_type, form.value_type, "the form of the maps in " + form.outer);
}

Result<Map> make_like(const Map& map, uint32_t max_entries, const std::string& name) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_map_get_info_by_fd(map.fd(), &info, &length) != 0) return fail_errno(errno, "look at " + map.name());
  MapStats shape = map.shape();
  shape.max_entries = max_entries;
  const Fd btf(info.btf_id == 0 ? -1 : bpf_btf_get_fd_by_id(info.btf_id));
  return create(shape, info.name, btf.get(), info.btf_key_type_id, info.btf_value_type_id, name);
}

Result<Map> map_by_id(uint32_t id, const std::string& name) {
  Fd fd(bpf_map_get_fd_by_id(id));
  if (fd.valid()) return Map::from_fd(std::move(fd), name);
  if (errno == ENOENT) return fail(Error{ErrorCode::kNotFound, ENOENT, name + " is gone", {}, {}});
  return fail_errno(errno, "open " + name);
}

std::string template_pin(const std::string& outer_pin) {
  const std::filesystem::path pin(outer_pin);
  return (pin.parent_path().parent_path() / "inner" / pin.filename()).string();
}

}  // namespace mapshift
