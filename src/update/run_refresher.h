// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "base/log.h"
#include "update/run.h"

namespace mapshift::update {

// Keeps the keys that change all the time fresh on both sides while hooks are swapped: a swap call takes 8 to 20 ms, but
// the moment in it at which events go the other way is the kernel's. What an event then finds is at most as old as the
// time from the begin of one sweep to the end of the next; `staleness` is the largest of these.
// While it lives, nobody else may use the pairs.
class Run::Refresher {
 public:
  Refresher(std::vector<Pair>& pairs, SyncPhase phase, Nanos fresh_since)
      : pairs_(pairs), phase_(phase), fresh_since_(fresh_since) {
    for (Pair& pair : pairs_) pair.sync->enter(phase);  // before the first hook: both sides may be written from then on
    thread_ = std::thread([this] { sweep(); });
  }
  Refresher(const Refresher&) = delete;
  Refresher& operator=(const Refresher&) = delete;
  ~Refresher() { stop(); }

  void stop() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  // After stop().
  [[nodiscard]] Nanos staleness() const { return staleness_; }

 private:
  void sweep() {
    do {
      const Nanos began = monotonic_now();
      for (Pair& pair : pairs_) {
        if (auto report = pair.sync->pass_hot(phase_); !report) log::error("a hot pass failed", {{"error", report.error().message}});
      }
      staleness_ = std::max(staleness_, monotonic_now() - fresh_since_);
      fresh_since_ = began;
    } while (!pairs_.empty() && !stop_.load());
  }

  std::vector<Pair>& pairs_;
  const SyncPhase phase_;
  Nanos fresh_since_;
  Nanos staleness_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace mapshift::update
