// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>

#include "kernel/change_log.h"
#include "kernel/map.h"

struct changes_scan_bpf;  // the skeleton

namespace mapshift {

struct ScanReport {
  uint64_t keys = 0;      // visited
  uint64_t reported = 0;  // records written
  uint64_t deferred = 0;  // differences that found no room in the ring; the next pass meets them again
  uint64_t no_memory = 0; // new keys that found no room in the image; likewise
  Nanos took{0};
};

// Finds what changed in one map by comparing it with an image of it, in the kernel. Not thread-safe: one pass at a time. A pass
// holds its CPU where the kernel does not preempt itself, about 0.4 s for a million keys.
class ChangeScan {
 public:
  // Why a map of this shape cannot be scanned, or empty.
  [[nodiscard]] static std::string why_not(const MapStats& shape);
  // Takes the first image, of which nothing is reported. The map stays the caller's. kUnsupported: see why_not(); kKernel: the
  // kernel refuses the program, such as for values that hold a lock or a timer.
  [[nodiscard]] static Result<ChangeScan> open(const ChangeLog& log, uint32_t slot, const Map& map);
  ChangeScan(ChangeScan&&) noexcept;
  ChangeScan& operator=(ChangeScan&&) noexcept;
  ~ChangeScan();

  [[nodiscard]] Result<ScanReport> pass();

 private:
  struct Destroy {
    void operator()(changes_scan_bpf* skeleton) const;
  };
  using Skeleton = std::unique_ptr<changes_scan_bpf, Destroy>;
  ChangeScan(Skeleton skeleton, bool fixed_keys) : skeleton_(std::move(skeleton)), fixed_keys_(fixed_keys) {}
  static Status size_and_share(changes_scan_bpf& skeleton, const ChangeLog& log, const Map& map, uint32_t cpus);

  Skeleton skeleton_;
  bool fixed_keys_;  // an array: no key ever comes or goes
};

}  // namespace mapshift
