// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

#include "kernel/object_spec.h"

namespace mapshift {

struct MapSizes {
  uint32_t key = 0, value = 0;  // bytes
};

// What the kernel demands of kinds that hold no values of their own. Objects that were written for another loader than libbpf
// say there what their records look like.
[[nodiscard]] inline MapSizes settled(MapType type, MapSizes declared) {
  if (type == MapType::kRingbuf || type == MapType::kUserRingbuf) return {};
  if (type == MapType::kPerfEventArray) return {sizeof(int32_t), sizeof(int32_t)};
  if (type == MapType::kStackTrace && declared.value == 0) return {sizeof(uint32_t), kDefaultStackSize};
  return declared;
}

}  // namespace mapshift
