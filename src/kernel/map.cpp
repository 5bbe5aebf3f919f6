// SPDX-License-Identifier: Apache-2.0
#include "kernel/map.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <fstream>

#include "kernel/count.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

// What the kernel charges for a map is told in fdinfo only, as "memlock:\t<bytes>".
uint64_t memory_of(int fd) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
  for (std::string word; info >> word;) {
    uint64_t bytes = 0;
    if (word == "memlock:" && info >> bytes) return bytes;
  }
  return 0;
}

bool has_fixed_slots(MapType type) {
  return is_array(type) || type == MapType::kProgArray || type == MapType::kPerfEventArray ||
         type == MapType::kCgroupArray || type == MapType::kDevmap || type == MapType::kCpumap || type == MapType::kXskmap ||
         type == MapType::kSockmap || type == MapType::kReuseportSockarray;
}

bool is_walkable_hash(MapType type) {
  return type == MapType::kHash || type == MapType::kLruHash || type == MapType::kPercpuHash || type == MapType::kLruPercpuHash;
}

bool has_keys(MapType type) {
  return type == MapType::kLpmTrie || type == MapType::kHashOfMaps || type == MapType::kDevmapHash || type == MapType::kSockhash;
}

}  // namespace

Result<Map> Map::open(const std::string& pin) {
  MS_TRY(Fd fd, open_pin(pin));
  return from_fd(std::move(fd), pin);
}

Result<Map> Map::from_fd(Fd fd, std::string name) {
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_map_get_info_by_fd(fd.get(), &info, &length) != 0) return fail_errno(errno, name + " is not a readable map");
  const MapStats shape{info.id, static_cast<MapType>(info.type), info.key_size, info.value_size, info.max_entries,
      info.map_flags, 0};
  return Map(std::move(fd), std::move(name), shape);
}

Result<MapStats> Map::stats() const {
  MapStats stats = shape_;
  stats.memory_bytes = memory_of(fd());
  return stats;
}

Result<size_t> Map::read_size() const {
  if (!is_percpu(shape_.type)) return shape_.value_size;
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno(cpus, "count the possible CPUs");
  return (size_t{shape_.value_size} + 7) / 8 * 8 * static_cast<size_t>(cpus);
}

Result<std::vector<std::byte>> Map::read(const std::vector<std::byte>& key) const {
  std::vector<std::byte> used = key;
  if (used.empty() && is_array(shape_.type)) used.resize(shape_.key_size);
  if (used.size() != shape_.key_size) {
    return fail(ErrorCode::kInvalid, "a key of " + name_ + " has " + std::to_string(shape_.key_size) + " bytes, not " +
                                         std::to_string(key.size()));
  }
  MS_TRY(const size_t size, read_size());
  std::vector<std::byte> value(size);
  if (bpf_map_lookup_elem(fd(), used.data(), value.data()) == 0) return value;
  if (errno == ENOENT) return fail(Error{ErrorCode::kNotFound, ENOENT, "no such key in " + name_, {}, {}});
  return fail_errno(errno, "read an element of " + name_);
}

Result<uint64_t> Map::count() const {
  if (has_fixed_slots(shape_.type)) return shape_.max_entries;
  if (is_walkable_hash(shape_.type)) {
    if (auto counted = count_in_kernel(fd())) return counted;
    return count_by_key();  // a kernel without for_each
  }
  if (has_keys(shape_.type)) return count_by_key();
  if (shape_.type == MapType::kArrayOfMaps) return count_filled();
  return fail(ErrorCode::kUnsupported, "elements of " + name_ + " cannot be counted: a " + to_string(shape_.type) + " has no keys that could be listed");
}

Result<uint64_t> Map::count_by_key() const {
  std::vector<std::byte> key(shape_.key_size), next(shape_.key_size);
  uint64_t counted = 0;
  // GET_NEXT_KEY starts over when its cursor was deleted meanwhile: without the bound, churn could make this endless.
  for (void* cursor = nullptr; counted < shape_.max_entries; cursor = key.data()) {
    if (bpf_map_get_next_key(fd(), cursor, next.data()) != 0) {
      if (errno == ENOENT) break;
      return fail_errno(errno, "walk the keys of " + name_);
    }
    ++counted;
    key.swap(next);
  }
  return counted;
}

Result<uint64_t> Map::count_filled() const {
  uint64_t counted = 0;
  for (uint32_t i = 0; i < shape_.max_entries; ++i) {
    uint32_t id = 0;
    if (bpf_map_lookup_elem(fd(), &i, &id) == 0) ++counted;
    else if (errno != ENOENT) return fail_errno(errno, "read a slot of " + name_);
  }
  return counted;
}

}  // namespace mapshift
