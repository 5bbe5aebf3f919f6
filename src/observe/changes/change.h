// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace mapshift::observe::changes {

enum class Op : uint8_t { kInsert = 1, kUpdate = 2, kDelete = 3 };  // as enum ms_change_op
inline constexpr size_t kOps = 3;
[[nodiscard]] std::string_view to_string(Op op);  // "insert", "update", "delete"

// Where a change was seen, best first; as enum ms_change_source.
enum class Source : uint8_t { kFexit = 1, kInstrumented = 2, kSyscall = 3, kScan = 4 };
inline constexpr size_t kSources = 4;
[[nodiscard]] std::string_view to_string(Source source);  // "fexit", "instrumented", "syscall", "scan"
[[nodiscard]] std::optional<Source> source_named(std::string_view name);

// kPull: scans at an interval, nothing else. kEvents: the event sources alone. kHybrid: those, and a scan when the map was
// silent for a while, which repairs what they could not see.
enum class Mode : uint8_t { kPull, kEvents, kHybrid };
[[nodiscard]] std::string_view to_string(Mode mode);  // "pull", "events", "hybrid"
[[nodiscard]] std::optional<Mode> mode_named(std::string_view name);

struct MapName {
  std::string module, map;
  auto operator<=>(const MapName&) const = default;
};

// One change of one key. A key that changed again meanwhile is told again: a receiver reads the map, or replays values.
struct Change {
  uint64_t seq = 0;
  uint64_t timestamp_ns = 0;  // CLOCK_MONOTONIC, when it was made; of a scan: when it was found
  uint32_t pid = 0;
  uint32_t map_id = 0;
  uint32_t key_hash = 0;      // CRC-32 of the key's bytes
  Op op = Op::kUpdate;        // kUpdate where nobody can tell it from an insert
  Source source = Source::kScan;
  std::vector<std::byte> key = {}, value = {};  // empty unless the map allows them
};

// What the receiver missed, or cannot know that it did not: read the map, then go on after `version`.
struct Resync {
  uint64_t version = 0;
  uint64_t lost = 0;          // changes that this receiver will not get; 0 when nobody can tell
  std::string reason = {};    // "lost", "slow", "missed", "since-too-old", "since-unknown", "map-replaced"
};

using Event = std::variant<Change, Resync>;

}  // namespace mapshift::observe::changes
