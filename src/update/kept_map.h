// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "kernel/sync_spec.h"

namespace mapshift::update {

// The old generation's map after a commit, kept in step with the new one for those who still hold it: "keep_old". It lies in
// Paths::kept(map), with the base that its synchronisation goes on with.
struct KeptMap {
  std::string module, map;      // name in the new generation
  uint64_t generation = 0;      // the one that runs: side 1
  std::string until;            // base/clock.h's format_time(): it is dropped then, whoever holds it
  SyncSpec sync;
};

}  // namespace mapshift::update
