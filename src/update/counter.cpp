// SPDX-License-Identifier: Apache-2.0
#include "update/counter.h"

#include <cstring>

#include "kernel/instance_name.h"

namespace mapshift::update {
namespace {

struct Place {
  uint32_t offset = 0;
  const Type* type = nullptr;
};

// Walks "a.b.c" down a structure. Members of anonymous structures count as members of the outer one.
bool descend(Place& place, std::string_view path) {
  while (!path.empty()) {
    const size_t dot = path.find('.');
    const std::string_view head = path.substr(0, dot);
    bool found = false;
    for (const Member& member : place.type->members) {
      if (member.bit_size != 0) continue;
      Place inside{place.offset + member.bit_offset / 8, member.type.get()};
      if (member.name.empty() && descend(inside, path)) {
        place = inside;
        return true;
      }
      if (member.name == head) {
        place = inside;
        found = true;
        break;
      }
    }
    if (!found) return false;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return place.type != nullptr && (place.type->kind == TypeKind::kInt || place.type->kind == TypeKind::kEnum) && place.type->size <= 8;
}

std::string known(const ObjectSpec& object) {
  std::string names;
  for (const MapSpec& map : object.maps) {
    if (is_array(map.type) && map.section == DataSection::kNone) names += (names.empty() ? "" : ", ") + map.name;
    for (const Variable& variable : map.variables) {
      if (map.section == DataSection::kBss || map.section == DataSection::kData) names += (names.empty() ? "" : ", ") + variable.name;
    }
  }
  return names.empty() ? "the module has no array and no global variable" : "arrays and global variables of the module: " + names;
}

Counter make(const MapSpec& map, std::string_view instance, const Place& place) {
  return Counter{instance_name(map.name, instance), place.offset, place.type->size, place.type->is_signed, is_percpu(map.type), map.value_size};
}

}  // namespace

Result<Counter> find_counter(const ObjectSpec& object, const std::string& path) {
  const size_t dot = path.find('.');
  const std::string full = path.substr(0, dot);
  const std::string_view head = base_name(full);
  const std::string_view instance = head == full ? std::string_view() : std::string_view(full).substr(head.size() + 1);
  const std::string_view rest = dot == std::string::npos ? std::string_view() : std::string_view(path).substr(dot + 1);
  for (const MapSpec& map : object.maps) {
    if (map.section == DataSection::kNone) {
      Place place{0, map.value.get()};
      if (map.name == head && is_array(map.type) && map.value && descend(place, rest)) return make(map, instance, place);
      continue;
    }
    if (map.section != DataSection::kBss && map.section != DataSection::kData) continue;
    for (const Variable& variable : map.variables) {
      Place place{variable.offset, variable.type.get()};
      if (variable.name == head && variable.type && descend(place, rest)) return make(map, instance, place);
    }
  }
  return fail(ErrorCode::kInvalid, "\"" + path + "\" is no number in an array's element 0 or in a global variable; " + known(object));
}

double read_counter(const Counter& counter, const std::vector<std::byte>& element) {
  const size_t stride = counter.percpu ? (counter.value_size + 7) / 8 * 8 : element.size();
  double sum = 0;
  for (size_t at = 0; stride != 0 && at + counter.offset + counter.size <= element.size(); at += stride) {
    uint64_t bits = 0;
    std::memcpy(&bits, element.data() + at + counter.offset, counter.size);
    const unsigned shift = 64 - 8 * counter.size;
    sum += counter.is_signed ? static_cast<double>(static_cast<int64_t>(bits << shift) >> shift) : static_cast<double>(bits);
  }
  return sum;
}

}  // namespace mapshift::update
