// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "observe/changes/module_rings.h"
#include "observe/changes/stream.h"

namespace mapshift::http {

using observe::changes::MapName;

struct MapEntry {
  std::vector<std::byte> key, value;
};

struct MapContents {
  MapName name;
  uint64_t version = 0;        // read before the entries: who watches from it misses nothing
  std::string source;          // which source serves its changes: "syscall", "instrumented+scan"
  std::string reason;          // why that one
  bool keys = false, values = false;  // whether the configuration lets them out
  std::vector<MapEntry> entries = {};  // none where keys may not leave; without values where only those may not
};

// What the routes of maps ask of the agent. Thread-safe. kNotFound: no such module, or map of it. kConflict: the map is not
// watched, and the message says what to do.
class MapService {
 public:
  virtual ~MapService() = default;
  // As Stream::subscribe(); a subscription may outlive the watching of its map, but not the service.
  [[nodiscard]] virtual Result<std::unique_ptr<observe::changes::Subscription>> subscribe(const MapName& name,
                                                                                         std::optional<uint64_t> since) = 0;
  [[nodiscard]] virtual Result<uint64_t> version(const MapName& name) = 0;
  // Of a ring buffer that the module declares: the number of its last record. Absent: it is none.
  [[nodiscard]] virtual std::optional<uint64_t> ring_version(const MapName& name) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<observe::changes::RingSubscription>> subscribe_ring(const MapName& name,
                                                                                                  std::optional<uint64_t> since) = 0;
  // kTooLarge when the entries are more than one answer holds.
  [[nodiscard]] virtual Result<MapContents> read_map(const MapName& name) = 0;
  // Puts `entries` in the place of all that the map holds, in one step, and returns the new version. kStale when the map is not
  // at `if_version` any more, kRefused when it cannot be replaced so, kInvalid with all that is wrong with the entries.
  [[nodiscard]] virtual Result<uint64_t> replace_map(const MapName& name, uint64_t if_version, const std::vector<MapEntry>& entries) = 0;
};

}  // namespace mapshift::http
