// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "observe/changes/topic.h"

namespace mapshift::observe::changes {

// Wakes subscribers on a thread of its own, so that the reader never does: at once after a silence, else in intervals that
// grow with the number of those who wait, at most 20,000 wake-ups a second however fast changes come. Thread-safe.
class Bell {
 public:
  Bell();
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  ~Bell();
  void add(std::shared_ptr<Topic> topic);
  void remove(const Topic* topic);
  // Cheap while the last ring is not yet done.
  void ring();

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable called_;
  std::vector<std::shared_ptr<Topic>> topics_;
  std::atomic<bool> pending_{false};
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace mapshift::observe::changes
