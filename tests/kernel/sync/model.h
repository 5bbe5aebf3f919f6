// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "kernel/kernel.h"

namespace mapshift::test {

// What two synchronised maps must hold, said once more in plain integers: no maps, no atomics, no passes. One resolve()
// stands for passes until nothing moves.
class Model {
 public:
  using Values = std::vector<uint64_t>;  // by field, raw bits
  struct Key {
    std::optional<Values> side0, side1, base0, base1;
  };

  explicit Model(SyncSpec spec) : spec_(std::move(spec)) {}
  void resolve(SyncPhase phase);
  Key& key(uint32_t at) { return keys_[at]; }

 private:
  struct Sides {  // of one field
    uint64_t &x, &y, &bx, &by;
  };
  void resolve_key(SyncPhase phase, Key& key) const;
  void precopy(Key& key) const;
  void merge(SyncPhase phase, Key& key) const;
  void one_side(bool on1, bool passive_left, Key& key) const;
  void make(Key& key, bool to1) const;
  void merge_latest(Key& key, bool new_active, bool fresh) const;
  void merge_sum(const SyncField& field, Sides s, bool fresh) const;
  void merge_join(const SyncField& field, Sides s, bool fresh) const;

  SyncSpec spec_;
  std::map<uint32_t, Key> keys_;
};

// Raw bits of a scalar of `from` bytes, as the nearest value that one of `to` bytes can hold.
[[nodiscard]] uint64_t model_carry(uint64_t raw, uint8_t from, bool from_signed, uint8_t to, bool to_signed);

}  // namespace mapshift::test
