// SPDX-License-Identifier: Apache-2.0
#include "workers.h"

namespace mapshift::load {

Workers::Workers(unsigned threads, Batch batch) : batch_(std::move(batch)), done_(threads) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this, i] { run(i); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    going_ = false;
    ending_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void Workers::start() {
  const std::lock_guard lock(mutex_);
  going_ = true;
  changed_.notify_all();
}

void Workers::pause() {
  std::unique_lock lock(mutex_);
  going_ = false;
  changed_.wait(lock, [this] { return busy_ == 0; });
}

std::string Workers::report() const {
  const std::lock_guard lock(mutex_);
  std::string text = "{\"sent\":[";
  uint64_t refused = 0;
  for (const auto& done : done_) {
    if (&done != done_.data()) text += ',';
    text += std::to_string(done.number.load());
    refused += done.refused.load();
  }
  return text + "],\"refused\":" + std::to_string(refused) + ",\"error\":\"" + error_ + "\"}";
}

void Workers::run(unsigned thread) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return going_ || ending_; });
    if (ending_) return;
    ++busy_;
    lock.unlock();
    std::string error = batch_(thread, done_[thread]);
    lock.lock();
    --busy_;
    if (!error.empty()) {
      error_ = std::move(error);
      going_ = false;
    }
    if (busy_ == 0) changed_.notify_all();
  }
}

}  // namespace mapshift::load
