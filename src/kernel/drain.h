// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "kernel/kernel.h"
#include "kernel/map.h"

struct drain_bpf;  // the skeleton

namespace mapshift {

// Moves the elements of one queue or stack to another of the same type and value size. Not thread-safe.
class Mover {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Mover>> open(const Map& from, const Map& to);
  struct Moved {
    uint64_t count = 0;
    bool full = false;  // the target has no room
  };
  // At most `limit` elements that others may be taking as well, into a map that has room for as many.
  [[nodiscard]] Result<Moved> take(uint64_t limit) const;
  // All elements of a map that nobody else uses. Each is in one of both maps whenever the agent dies.
  [[nodiscard]] Result<Moved> hand_over() const;

 private:
  struct Close {
    void operator()(drain_bpf* skeleton) const;
  };
  explicit Mover(std::unique_ptr<drain_bpf, Close> skeleton) : skeleton_(std::move(skeleton)) {}
  [[nodiscard]] Result<Moved> run(bool taking, uint64_t limit) const;

  std::unique_ptr<drain_bpf, Close> skeleton_;
};

// Queues and stacks: what waits in the map of the generation that no longer runs is moved to the other one, in its order, by
// every pass after the swap, or back after a rollback. Before the swap nothing is touched. On its way it lies in a third map, pinned
// as sync_dir/base, or sync_dir/back.
[[nodiscard]] Result<std::unique_ptr<Sync>> open_drain(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                       const std::string& sync_dir);

}  // namespace mapshift
