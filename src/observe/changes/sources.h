// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "kernel/change_log.h"
#include "kernel/change_probe.h"
#include "kernel/map.h"
#include "observe/changes/choice.h"

namespace mapshift::observe::changes {

// What this host offers. Probes are opened when somebody asks for them first and closed when nobody uses them, so that a host on
// which nothing is watched pays nothing. Not thread-safe.
class Sources {
 public:
  explicit Sources(const ChangeLog& log) : log_(log) {}
  // For a map of this shape. Opens the probes among `wanted` (empty: all) to find out; drop_unused() closes them again.
  [[nodiscard]] std::array<Offer, kSources> offers(const MapStats& shape, bool instrumented, const std::vector<Source>& wanted);
  // How many maps are seen by each probe.
  void drop_unused(size_t fexit_users, size_t syscall_users);
  // Events missed by probes since they were opened, closed ones included.
  [[nodiscard]] uint64_t missed();

 private:
  struct Slot {
    std::unique_ptr<ChangeProbe> probe;
    std::string refused;  // remembered: a kernel does not change its mind while we run
    uint64_t missed_before = 0;
  };
  using Open = Result<std::unique_ptr<ChangeProbe>> (*)(const ChangeLog& log);
  Offer open(Slot& slot, Open how);
  static void close(Slot& slot);

  const ChangeLog& log_;
  Slot fexit_, syscall_;
};

}  // namespace mapshift::observe::changes
