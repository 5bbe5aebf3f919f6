// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "fake_journal.h"
#include "fake_kernel.h"
#include "update/run.h"

namespace mapshift::update {

inline constexpr const char* kRoot = "/fs/mapshift/meter";

// One module in a fake world, from generation 1 to 2:
//   meter  native      counts in `flows` (sync)         watch  dispatcher  counts in `totals` (reuse)
//   extra  new         counts in `fresh` (a new map)    legacy gone        counted in `former` (gone)
//   helper attached nowhere
// Everything in it is deterministic but the time.
class World {
 public:
  enum class Moves : uint8_t { kInOrder, kTogether /* by one store */, kCanary /* and a share of events before */ };
  explicit World(Moves moves = Moves::kInOrder);

  Steps steps;
  FakeKernel kernel{steps};
  RunInput input;
  std::unique_ptr<FakeJournal> journal;
  FakeObserver observer;
  std::unique_ptr<Run> run;
  std::string before;  // kernel.state() before the update

  // A new life of the agent, as it would begin with what is on disk.
  Run& begin();
  // Orders when a call whose name contains `part` is about to be made for the `nth` time, 0 first.
  void order_at(const std::string& part, Order order, size_t nth = 0);
  // What the next start of an agent does: takes up what has not ended, and sweeps up after what has.
  void restart();

  [[nodiscard]] State state() const { return run->record().state; }
  [[nodiscard]] std::string reason() const { return run->record().reason; }
  [[nodiscard]] bool runs_new_alone() const;
  [[nodiscard]] bool runs_old_alone() const { return kernel.state() == before; }
  [[nodiscard]] std::string explain() const;

  // No event fell between two programs, and each is counted once in the generation that runs.
  void expect_nothing_lost() const;
  void expect_running(uint64_t generation) const;  // it alone
  void expect_consistent() const;                  // one of both alone, the one that the journal names
  // A record that was shown is never older than the one before, and a final state comes with its reason.
  void expect_growing() const;
};

[[nodiscard]] std::string hook_dir(const std::string& program);
[[nodiscard]] std::string pin(uint64_t generation, const std::string& kind_and_name);

}  // namespace mapshift::update
