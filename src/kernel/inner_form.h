// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "kernel/map.h"

struct bpf_object;

namespace mapshift {

// The form that an object wants the maps inside of its maps to have. libbpf keeps it until the object is loaded.
struct InnerForm {
  std::string outer;  // name of the map of maps
  MapStats shape;
  uint32_t key_type = 0, value_type = 0;  // in the object's BTF
};
[[nodiscard]] std::vector<InnerForm> inner_forms(const bpf_object* object);

// An empty map of that form with room for one element, made to be copied; `btf_fd` may be -1.
[[nodiscard]] Result<Map> make_template(const InnerForm& form, int btf_fd);
// A new empty map of the same form.
[[nodiscard]] Result<Map> make_like(const Map& map, uint32_t max_entries, const std::string& name);
[[nodiscard]] Result<Map> map_by_id(uint32_t id, const std::string& name);  // kNotFound when it is gone

// Where the template of a generation's map of maps is pinned, from the pin of that map.
[[nodiscard]] std::string template_pin(const std::string& outer_pin);

}  // namespace mapshift
