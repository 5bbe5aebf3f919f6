// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "kernel/sync_spec.h"
#include "update/manifest.h"
#include "update/record.h"

namespace mapshift::update {

// What the instructions of a generation's programs do to its maps, found by inference.h.
enum class AccessKind : uint8_t { kRead, kAtomicAdd, kAddStore /* load, add, store */, kAtomicOr, kOrStore, kMaxStore, kMinStore, kStore, kInsertOnly /* constant on insert */,
                                  kFeedsAddress /* its value becomes an address, a size or a key */ };
struct FieldAccess {
  std::string map;       // MapSpec name
  uint32_t offset = 0;   // bytes into the value
  uint32_t size = 0;
  uint32_t stride = 0;   // 0: at `offset` only; else at every offset + n * stride that lies below `end` (an array index)
  uint32_t end = 0;
  AccessKind kind = AccessKind::kRead;
  std::string program;   // entry program
  uint32_t insn = 0;     // index in `function`
  std::string function;
  bool locked = false;   // while the bpf_spin_lock of the same value was held
  bool clamped = false;  // kAddStore: the sum stops at a limit
  bool adds_too = false; // kStore: a sum with what was there on some paths, and something else on others
  bool atomic = false;   // kStore: an exchange, or a compare-and-swap
};
struct MapAccess {       // whole-map facts
  std::string map;
  std::string program;
  bool looks_up = false, updates = false, deletes = false, writes_value = false, reads_value = false;
  bool inserts = false, replaces = false;  // `updates`: of an entry that is not there, and of one that may be
  // Bytes of a value are read, or added to, that the same run may not have written before: what an earlier run left counts.
  // Known of per-CPU arrays only, and true for every other map that is read.
  bool reads_earlier = false;
};
struct CodeFacts {
  std::vector<FieldAccess> fields;
  std::vector<MapAccess> maps;
  std::vector<std::string> gave_up;  // "program: reason" where the analysis was bounded
};

struct MapPlan {
  std::string name;             // in the new generation
  std::string from;             // in the old one; empty: a new map
  Policy policy = Policy::kAuto;  // kReuse, kSync, kReset or kRefuse; never kAuto
  MapRecord record;             // what people see
  uint32_t max_entries = 0;     // of the new map
  std::optional<SyncSpec> sync = {};  // policy kSync

  // The other map of the old generation that its transform looks at, if any.
  [[nodiscard]] const SyncSecond* second() const {
    return sync && sync->transform && sync->transform->second ? &*sync->transform->second : nullptr;
  }
};

struct ProgramPlan {
  std::string name;
  AttachSpec attach;            // in the new generation
  enum class Swap : uint8_t { kNone, kNative, kDispatcher, kOverlap, kAttach, kDetach } swap = Swap::kNone;
  ProgramRecord record;
};

struct Plan {
  std::string module;
  GenerationRef from, to;
  std::vector<MapPlan> maps;
  std::vector<ProgramPlan> programs;  // in swap order: consumers of a map before its producers
  std::vector<Problem> warnings, refusals;
  uint64_t memory_bytes = 0;          // estimate of what the update allocates: new maps, bases, programs
  bool lossy = false;
  bool together = false;              // all hooks move by one store
  std::optional<Canary> canary = {};  // only then
};

// One side of a plan: what runs, or what would.
struct GenerationInput {
  GenerationRef ref;
  Manifest manifest;
  ObjectSpec object;   // of the running side: map layouts replaced by those of the running maps' BTF
  CodeFacts facts;
};

}  // namespace mapshift::update
