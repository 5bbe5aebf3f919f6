// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "slo/objective.h"
#include "slo/sample.h"

namespace mapshift::update {

// Takes readings that may block, one after the other, on a thread of its own: whoever judges never waits for a neighbour.
// ask(), take() and ready() may be called from any thread. The destructor waits for the reading under way.
class SamplerWorker {
 public:
  using Read = std::function<slo::Sample(const slo::Objective&)>;
  // `done` is called on the worker's thread, without a lock, after each reading.
  SamplerWorker(Read read, std::function<void()> done);
  ~SamplerWorker();
  SamplerWorker(const SamplerWorker&) = delete;
  SamplerWorker& operator=(const SamplerWorker&) = delete;

  void ask(size_t index, const slo::Objective& objective);
  [[nodiscard]] std::vector<std::pair<size_t, slo::Sample>> take();
  [[nodiscard]] bool ready() const;

 private:
  void work();

  const Read read_;
  const std::function<void()> done_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::pair<size_t, slo::Objective>> asked_;       // guarded by mutex_
  std::vector<std::pair<size_t, slo::Sample>> finished_;      // guarded by mutex_
  bool stopping_ = false;                                     // guarded by mutex_
  std::thread thread_;                                        // last: it uses all of the above
};

}  // namespace mapshift::update
