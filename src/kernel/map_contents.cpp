// SPDX-License-Identifier: Apache-2.0
#include "kernel/map_contents.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

#include "kernel/map.h"

namespace mapshift {
namespace {

constexpr uint32_t kBatch = 1024;
constexpr size_t kMaxProblems = 100;

bool has_contents(MapType type) {
  return type == MapType::kHash || type == MapType::kLruHash || type == MapType::kPercpuHash || type == MapType::kLruPercpuHash ||
         type == MapType::kLpmTrie || is_array(type);
}

bool is_map_of_maps(MapType type) { return type == MapType::kArrayOfMaps || type == MapType::kHashOfMaps; }

// The slot of a map of maps that may have one only.
Result<std::vector<std::byte>> only_slot(const Map& outer) {
  if (outer.shape().max_entries != 1) {
    return fail(ErrorCode::kRefused, outer.name() + " is a map of " + std::to_string(outer.shape().max_entries) +
                                         " maps: its contents are one map's only when it has one slot (max_entries 1)");
  }
  std::vector<std::byte> key(outer.shape().key_size);
  if (outer.shape().type == MapType::kArrayOfMaps) return key;
  if (bpf_map_get_next_key(outer.fd(), nullptr, key.data()) != 0) return fail_errno(errno, "find the slot of " + outer.name());
  return key;
}

Result<Map> inner_of(const Map& outer) {
  MS_TRY(const auto slot, only_slot(outer));
  uint32_t id = 0;  // a lookup from user space gives the inner map's id
  if (bpf_map_lookup_elem(outer.fd(), slot.data(), &id) != 0) return fail_errno(errno, "read the slot of " + outer.name());
  const int fd = bpf_map_get_fd_by_id(id);
  if (fd < 0) return fail_errno(errno, "open the map in the slot of " + outer.name());
  return Map::from_fd(Fd(fd), outer.name() + "[0]");
}

class Collector {
 public:
  Collector(const Map& map, size_t value_size, size_t limit) : map_(map), value_size_(value_size), limit_(limit) {}

  Status add(const std::byte* key, const std::byte* value) {
    bytes_ += map_.shape().key_size + value_size_;
    if (bytes_ > limit_) {
      return fail(ErrorCode::kTooLarge, map_.name() + " holds more than " + std::to_string(limit_ >> 20) +
                                            " MiB of keys and values: read it through its pin instead");
    }
    elements_.push_back({{key, key + map_.shape().key_size}, {value, value + value_size_}});
    return {};
  }
  [[nodiscard]] std::vector<MapElement> take() && { return std::move(elements_); }

 private:
  const Map& map_;
  const size_t value_size_, limit_;
  size_t bytes_ = 0;
  std::vector<MapElement> elements_;
};

// Locks a bucket at a time, so a key that stays is never missed nor seen twice.
Status read_batches(const Map& map, size_t value_size, Collector& out) {
  uint32_t capacity = std::min(kBatch, std::max(map.shape().max_entries, 1u));
  std::vector<std::byte> cursor(std::max<size_t>(map.shape().key_size, 8)), next(cursor.size()), keys, values;
  for (bool first = true, last = false; !last;) {
    keys.resize(size_t{capacity} * map.shape().key_size);
    values.resize(size_t{capacity} * value_size);
    uint32_t count = capacity;
    const int result = bpf_map_lookup_batch(map.fd(), first ? nullptr : cursor.data(), next.data(), keys.data(), values.data(), &count, nullptr);
    if (result != 0 && errno == ENOSPC && capacity < map.shape().max_entries) {  // a bucket holds more than that
      capacity = std::min(capacity * 2, map.shape().max_entries);
      continue;
    }
    last = result != 0;
    if (last && errno != ENOENT) return fail_errno(errno, "read " + map.name());
    for (uint32_t i = 0; i < count; ++i) MS_CHECK(out.add(keys.data() + size_t{i} * map.shape().key_size, values.data() + i * value_size));
    cursor.swap(next);
    first = false;
  }
  return {};
}

Status read_slots(const Map& map, Collector& out) {
  for (uint32_t i = 0; i < map.shape().max_entries; ++i) {
    std::vector<std::byte> key(sizeof(i));
    std::memcpy(key.data(), &i, sizeof(i));
    MS_TRY(const auto value, map.read(key));
    MS_CHECK(out.add(key.data(), value.data()));
  }
  return {};
}

Result<Map> make_like(const Map& map) {
  const MapStats& shape = map.shape();
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape.flags);
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_map_get_info_by_fd(map.fd(), &info, &length) != 0) return fail_errno(errno, "look at " + map.name());
  const Fd btf(info.btf_id == 0 ? -1 : bpf_btf_get_fd_by_id(info.btf_id));
  if (btf.valid()) {
    options.btf_fd = static_cast<uint32_t>(btf.get());
    options.btf_key_type_id = info.btf_key_type_id;
    options.btf_value_type_id = info.btf_value_type_id;
  }
  const int fd = bpf_map_create(static_cast<bpf_map_type>(shape.type), info.name, shape.key_size, shape.value_size, shape.max_entries, &options);
  if (fd < 0) return fail_errno(errno, "make a map like " + map.name());
  return Map::from_fd(Fd(fd), "the new contents of " + map.name());
}

Status check_elements(const Map& inner, const std::vector<MapElement>& elements) {
  const MapStats& shape = inner.shape();
  std::vector<Problem> problems;
  std::set<std::string> keys;
  const auto complain = [&](size_t at, const char* member, const char* code, const std::string& message) {
    if (problems.size() < kMaxProblems) problems.push_back({code, "entries[" + std::to_string(at) + "]." + member, message});
  };
  for (size_t i = 0; i < elements.size(); ++i) {
    const MapElement& element = elements[i];
    if (element.key.size() != shape.key_size) complain(i, "key", "wrong-size", "a key of this map has " + std::to_string(shape.key_size) + " bytes, not " + std::to_string(element.key.size()));
    if (element.value.size() != shape.value_size) complain(i, "value", "wrong-size", "a value of this map has " + std::to_string(shape.value_size) + " bytes, not " + std::to_string(element.value.size()));
    uint32_t index = 0;
    if (is_array(shape.type) && element.key.size() == sizeof(index)) {
      std::memcpy(&index, element.key.data(), sizeof(index));
      if (index >= shape.max_entries) complain(i, "key", "out-of-range", "the array has " + std::to_string(shape.max_entries) + " elements");
    }
    const auto* bytes = reinterpret_cast<const char*>(element.key.data());
    if (!keys.emplace(bytes, element.key.size()).second) complain(i, "key", "duplicate-key", "this key stands twice");
  }
  if (elements.size() > shape.max_entries) problems.push_back({"too-many", "entries", "the map holds " + std::to_string(shape.max_entries) + " entries at most, not " + std::to_string(elements.size())});
  if (problems.empty()) return {};
  return fail(Error{ErrorCode::kInvalid, 0, "the entries do not fit the map; nothing was changed", {}, std::move(problems)});
}

Result<Map> replaceable(const Map& outer) {
  const MapType type = outer.shape().type;
  if (!is_map_of_maps(type)) {
    return fail(ErrorCode::kRefused, "the contents of a map of type " + to_string(type) + " cannot be replaced in one step: the module must keep them in the only slot of an "
                                     "array of maps (BPF_MAP_TYPE_ARRAY_OF_MAPS, max_entries 1), where a new map takes the place of the old one");
  }
  MS_TRY(Map inner, inner_of(outer));
  const MapType inside = inner.shape().type;
  if (!has_contents(inside) || is_percpu(inside))
    return fail(ErrorCode::kRefused, "the map in the slot is of type " + to_string(inside) + ", which cannot be filled through this interface");
  return inner;
}

}  // namespace

Result<std::vector<MapElement>> read_contents(const std::string& pin, size_t limit) {
  MS_TRY(Map map, Map::open(pin));
  if (is_map_of_maps(map.shape().type)) {
    MS_TRY(map, inner_of(map));
  }
  if (!has_contents(map.shape().type))
    return fail(ErrorCode::kUnsupported, map.name() + " is of type " + to_string(map.shape().type) + ": it has no entries that can be read");
  MS_TRY(const size_t value_size, map.read_size());
  Collector out(map, value_size, limit);
  MS_CHECK(is_array(map.shape().type) ? read_slots(map, out) : read_batches(map, value_size, out));
  return std::move(out).take();
}

Status check_replaceable(const std::string& pin) {
  MS_TRY(const Map outer, Map::open(pin));
  MS_TRY([[maybe_unused]] const Map inner, replaceable(outer));
  return {};
}

Status replace_contents(const std::string& pin, const std::vector<MapElement>& elements) {
  MS_TRY(const Map outer, Map::open(pin));
  MS_TRY(const Map inner, replaceable(outer));
  MS_CHECK(check_elements(inner, elements));
  MS_TRY(const Map fresh, make_like(inner));
  for (const MapElement& element : elements)
    if (bpf_map_update_elem(fresh.fd(), element.key.data(), element.value.data(), BPF_ANY) != 0) return fail_errno(errno, "fill " + fresh.name());
  MS_TRY(const auto slot, only_slot(outer));
  const int fd = fresh.fd();
  // The kernel waits here for programs that still use the former one.
  if (bpf_map_update_elem(outer.fd(), slot.data(), &fd, BPF_ANY) != 0) return fail_errno(errno, "switch " + outer.name() + " to its new contents");
  return {};
}

}  // namespace mapshift
