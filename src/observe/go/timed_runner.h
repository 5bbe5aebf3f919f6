// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <mutex>

#include "base/clock.h"

namespace mapshift::observe::go {

// Runs what may never return: whoever owns a process can make reads of its memory or its executable wait for ever, by a file system
// of theirs that does not answer. Such a read cannot be interrupted, so it has a thread that is left behind when time is up. Thread-safe:
// one at a time.
class TimedRunner {
 public:
  TimedRunner() = default;
  TimedRunner(const TimedRunner&) = delete;
  TimedRunner& operator=(const TimedRunner&) = delete;
  ~TimedRunner();  // does not wait for what was left behind

  // False: not done within `limit`, and possibly done later; `work` owns all that it touches. At once when too many were left behind.
  [[nodiscard]] bool run(Nanos limit, std::function<void()> work);
  // Makes run() return soon, now and from now on: what it waits for has another second.
  void close();
  static constexpr int kMostLeftBehind = 16;  // in the whole process, at one time

 private:
  struct Shared;
  [[nodiscard]] std::shared_ptr<Shared> begin(Nanos limit, std::function<void()> work);
  static void serve(const std::shared_ptr<Shared>& shared);

  std::mutex one_;    // held by run()
  std::mutex mutex_;  // of the rest
  std::shared_ptr<Shared> shared_;
  bool closed_ = false;
};

}  // namespace mapshift::observe::go
