// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kernel/type.h"
#include "observe/changes/change.h"
#include "observe/changes/value.h"

namespace mapshift::observe::changes {

// A module's own ring buffer, declared in its manifest.
struct ModuleRing {
  MapName name;
  std::string pin;   // of the active generation's map
  TypeRef record = {};  // read_record_type() of the generation's object; null: of any length
  bool values = false;  // whether what is in them may be told; needs the type
};

struct RingRecord {
  uint64_t seq = 0;  // counted by this reader, malformed ones too; goes on through hot updates
  Nanos read_at{0};  // monotonic
  std::optional<Value> value = {};  // where the declaration allows it
};
using RingEvent = std::variant<RingRecord, Resync>;

struct RingReport {
  MapName name;
  uint64_t records = 0, bytes = 0;
  uint64_t malformed = 0;  // of another length than declared: their numbers are told as lost
  uint64_t backlog = 0;    // bytes that lie in the ring now
  uint64_t size = 0;       // of the ring
  uint64_t version = 0;    // the last number
};

class RingSubscription {
 public:
  virtual ~RingSubscription() = default;
  // As Subscription::next().
  [[nodiscard]] virtual Result<std::vector<RingEvent>> next(Nanos wait, size_t limit) = 0;
};

// Reads modules' ring buffers on one thread. A ring has one reader on the whole host: whoever else read it before must stop.
// Thread-safe. Subscriptions may outlive it.
class ModuleRings {
 public:
  virtual ~ModuleRings() = default;
  [[nodiscard]] virtual Status open(const ModuleRing& ring) = 0;
  // After a swap, or a rollback. The same map: only the type is exchanged. Another one: both are read until settle(), each with
  // its own type, so that what the old programs still write is not lost; going back is the same call with the old pin.
  [[nodiscard]] virtual Status retarget(const ModuleRing& ring) = 0;
  // When no old program can be running any more: reads the other rings of this name to their end and drops them.
  virtual void settle(const MapName& name) = 0;
  virtual void close(const MapName& name) = 0;
  // Records are kept for subscribers up to a bound (8192, and 4 MiB); beyond it a slow one gets a resync. Numbers begin where
  // those of an earlier life of the ring cannot have come to, so that a `since` from there is recognised.
  [[nodiscard]] virtual Result<std::unique_ptr<RingSubscription>> subscribe(const MapName& name, std::optional<uint64_t> since) = 0;
  [[nodiscard]] virtual std::vector<RingReport> reports() = 0;
};

[[nodiscard]] Result<std::unique_ptr<ModuleRings>> start_module_rings();

}  // namespace mapshift::observe::changes
