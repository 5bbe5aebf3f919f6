// SPDX-License-Identifier: Apache-2.0
#include "update/planner.h"

namespace mapshift::update {

namespace {

constexpr uint64_t kHashElement = 64;  // struct htab_elem, its share of the buckets and of the free lists
constexpr uint64_t kBaseHeader = 64;   // presence, busy and dirty words of the engine's base entry

uint64_t round8(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

uint64_t times(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t plus(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

// Elements that are a pointer or two.
bool holds_pointers(MapType type) {
  return type == MapType::kProgArray || type == MapType::kPerfEventArray || type == MapType::kCgroupArray || type == MapType::kArrayOfMaps ||
         type == MapType::kDevmap || type == MapType::kCpumap || type == MapType::kXskmap || type == MapType::kSockmap ||
         type == MapType::kReuseportSockarray;
}

}  // namespace

uint64_t map_memory(const MapSpec& map, uint32_t max_entries, uint32_t possible_cpus) {
  const uint64_t cpus = is_percpu(map.type) ? possible_cpus : 1;
  if (map.type == MapType::kRingbuf || map.type == MapType::kUserRingbuf) return max_entries;
  const uint64_t values = times(round8(map.value_size), cpus);
  if (holds_pointers(map.type)) return times(max_entries, 16);
  if (map.type == MapType::kQueue || map.type == MapType::kStack) return times(uint64_t{max_entries} + 1, map.value_size);
  if (is_array(map.type)) return times(max_entries, values);
  return times(max_entries, plus(values, round8(map.key_size) + kHashElement));
}

uint64_t base_memory(const SyncSpec& sync, uint32_t possible_cpus) {
  const bool drained = sync.type0 == MapType::kQueue || sync.type0 == MapType::kStack;
  if (drained) return times(uint64_t{sync.max_entries0} + 1, sync.value_size0);  // what is on its way
  const uint64_t cpus = is_percpu(sync.type0) || is_percpu(sync.type1) ? possible_cpus : 1;
  const uint64_t value = plus(kBaseHeader, times(cpus, round8(sync.value_size0) + round8(sync.value_size1)));
  const uint64_t entries = uint64_t{sync.max_entries0} + sync.max_entries1;
  return times(entries, plus(value, round8(sync.key_size) + kHashElement));
}

}  // namespace mapshift::update
