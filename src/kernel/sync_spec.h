// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/object_spec.h"

namespace mapshift {

// How one scalar of a value is reconciled. Values are the ABI of bpf/include/mapshift/sync.h.
enum class SyncOp : uint8_t { kSum = 1, kLatest = 2, kMax = 3, kMin = 4, kOr = 5, kFirst = 6 };

// One scalar field of 1, 2, 4 or 8 bytes that exists on both sides. Arrays are expanded element by element, and plain
// bytes in chunks of up to 8; a structure's padding is left out.
struct SyncField {
  SyncOp op = SyncOp::kLatest;
  uint8_t size0 = 8, size1 = 8;              // bytes in the old and the new layout
  bool signed0 = false, signed1 = false;     // decides sign extension when it is widened, and the range when narrowed
  uint16_t offset0 = 0, offset1 = 0;         // bytes into the value
  uint16_t group = 0;                        // kLatest: fields of one group win or lose together; 0 is the default group
  bool wide = false;                         // kLatest: part of a field wider than 8 bytes (no safe in-place write after the swap)
  int32_t remap = -1;                        // enums whose values moved: index into SyncSpec::remaps, or -1
  uint8_t in_union = 0;                      // one more than its index into SyncSpec::unions; 0: the field is always alive
  uint8_t arm = 0;                           // of that union: SyncArm::arm; 0: alive where no declared value is; or kDiscriminator
  bool zero = false;                         // the other side gets zero
  [[nodiscard]] bool operator==(const SyncField&) const = default;
};
inline constexpr uint8_t kDiscriminator = 255;

// A union whose discriminator, a field beside it, says which of its arms a value has. The arms' fields overlap. They stand before their
// discriminator in SyncSpec::fields, and in its group, whatever their op; the discriminator is kLatest.
struct SyncArm {
  uint64_t value0 = 0, value1 = 0;           // of the discriminator, in the old and the new layout, its raw bytes
  uint8_t arm = 0;                           // from 1; several values may name one arm
  [[nodiscard]] bool operator==(const SyncArm&) const = default;
};
struct SyncUnion {
  uint16_t offset0 = 0, offset1 = 0;         // of the discriminator
  uint8_t size0 = 4, size1 = 4;
  std::vector<SyncArm> values = {};
  [[nodiscard]] bool operator==(const SyncUnion&) const = default;
};

struct SyncDefault {  // a field that exists only on that side: its value when the engine creates a key there
  uint16_t offset = 0;
  uint8_t size = 8;
  uint64_t value = 0;
  [[nodiscard]] bool operator==(const SyncDefault&) const = default;
};

struct SyncRemap {  // old value, new value; a value in neither column travels unchanged
  std::vector<std::pair<int64_t, int64_t>> values;
  [[nodiscard]] bool operator==(const SyncRemap&) const = default;
};

// A second map of the old generation that a conversion looks at.
struct SyncSecond {
  std::string map;        // its name in the old generation
  std::string key = {};   // a function: what of it belongs to an old key and value; empty: the same key
  MapType type = MapType::kHash;
  uint32_t key_size = 0, value_size = 0;
  int32_t lock = -1;      // where its values' bpf_spin_lock lies; -1: they have none
  std::string down = {};  // a function: new value to its value; empty: it is only read
  std::string pin = {};   // where it lies: filled in by whoever opens the sync
  [[nodiscard]] bool operator==(const SyncSecond&) const = default;
};

// A conversion that its author wrote, as BPF functions of the new object. Each fills a value of the other layout, and the fields
// (which then have equal places on both sides) are merged from there.
struct SyncTransform {
  std::string object_path;
  std::string up;         // old value to new value
  std::string down = {};  // new value to old value; empty: a rollback loses what only the new generation wrote
  std::optional<SyncSecond> second = {};  // both functions are given its value as well
  [[nodiscard]] bool operator==(const SyncTransform&) const = default;
};

// Everything that specialises the engine's BPF program for one pair of maps. Side 0 is the old generation.
struct SyncSpec {
  MapType type0 = MapType::kHash, type1 = MapType::kHash;
  uint32_t key_size = 0;              // of the old side
  uint32_t key_size1 = 0;             // of the new side; 0: the same bytes are the same key
  uint32_t value_size0 = 0, value_size1 = 0;
  uint32_t max_entries0 = 0, max_entries1 = 0;
  std::vector<SyncField> fields;      // at most kMaxSyncFields
  std::vector<SyncDefault> defaults1; // at most kMaxSyncDefaults
  std::vector<SyncRemap> remaps;
  bool keep_delta = false;            // "on_delete": "keep_delta"
  std::vector<SyncField> key_fields = {};  // with key_size1: every scalar of the key; `op` says nothing
  int32_t lock0 = -1, lock1 = -1;     // where the value's bpf_spin_lock lies; -1: it has none
  std::optional<SyncTransform> transform = {};
  std::shared_ptr<const SyncSpec> inner = {};  // maps of maps: of each pair of inner maps; null: inner maps are carried over as they are
  bool by_calls = false;              // no program writes either map: system calls keep them in step, which needs no program for each pair
  bool in_slices = false;             // let other tasks run in mid-pass: hash maps of one value a key only, others ignore it
  std::vector<SyncUnion> unions = {};
  std::map<std::string, std::string> renamed = {};  // maps of maps: the new generation's maps that had another name, and which
  bool follow_writes = false;         // let a handler bring update calls at once where the kernel allows one: shared values only
  [[nodiscard]] bool operator==(const SyncSpec&) const = default;
};
inline constexpr size_t kMaxSyncFields = 1024;
inline constexpr size_t kMaxSyncDefaults = 64;
inline constexpr size_t kMaxSyncRemapValues = 256;  // over all remaps
inline constexpr size_t kMaxSyncUnions = 16;
inline constexpr size_t kMaxSyncArms = 64;  // values over all unions
inline constexpr uint32_t kMaxSyncKeySize = 64;
inline constexpr uint32_t kMaxSyncValueSize = 4096;

}  // namespace mapshift
