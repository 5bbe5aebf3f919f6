// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel/kernel.h"
#include "kernel/sync_spec.h"

namespace mapshift {

using Bytes = std::vector<std::byte>;

// The three-way rule of the sync engine, in C++ and without atomics, for maps that only system calls reach. Pure: values in,
// values out. Every value that is passed has the size that the spec names, and every field lies within it (check_sync_spec).
class FieldMerge {
 public:
  explicit FieldMerge(const SyncSpec& spec) : spec_(spec) {}  // which must outlive it

  struct Values {
    Bytes side0, side1;
    bool operator==(const Values&) const = default;
  };
  struct Outcome {
    bool moved0 = false, moved1 = false;  // something of side 0 (1) was carried to the other
    bool conflict = false, clamped = false;
    bool undeclared = false;              // a discriminator says none of the declared values
  };
  // Brings `now` in step. `base` is null when nothing was reconciled before. What `now` is afterwards is the next base.
  Outcome merge(SyncPhase phase, Values& now, const Values* base) const;

  // A whole value of the other layout, as a new key gets it: with the defaults of fields that only the new side has.
  [[nodiscard]] Bytes to_side1(const Bytes& value, bool& clamped) const;
  [[nodiscard]] Bytes to_side0(const Bytes& value, bool& clamped) const;

  [[nodiscard]] bool changed(const Bytes& value, const Bytes& base, bool side) const;
  struct Verdict {
    bool changed = false, rose = false, fell = false;  // any field; a sum
  };
  [[nodiscard]] Verdict judge(const Bytes& value, const Bytes& base, bool side) const;
  // The sums without what base holds of them.
  [[nodiscard]] Bytes without(Bytes value, const Bytes& base, bool side) const;
  // A discriminator in it says none of the declared values.
  [[nodiscard]] bool is_undeclared(const Bytes& value, bool side) const;
  // Same as far as both layouts can tell.
  [[nodiscard]] bool equal(const Values& values) const;

 private:
  struct Job;
  using Arms = std::vector<uint8_t>;  // of each union: the arm that a value has
  [[nodiscard]] Arms arms_of(const Bytes& value, bool side) const;
  [[nodiscard]] bool switch_arm(const SyncField& field, Job& job) const;
  void precopy_field(const SyncField& field, Job& job) const;
  void merge_sum(const SyncField& field, Job& job) const;
  void merge_latest(const SyncField& field, Job& job) const;
  void merge_join(const SyncField& field, Job& job) const;
  void merge_first(const SyncField& field, Job& job) const;
  [[nodiscard]] uint64_t join(const SyncField& field, const Job& job, uint64_t carried) const;
  void scan_groups(Job& job) const;
  [[nodiscard]] uint64_t carried(const SyncField& field, uint64_t raw, bool from, bool& clamped) const;
  void set(const SyncField& field, Job& job, bool side, uint64_t raw) const;

  const SyncSpec& spec_;
};

}  // namespace mapshift
