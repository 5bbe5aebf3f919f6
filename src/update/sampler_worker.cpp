// SPDX-License-Identifier: Apache-2.0
#include "update/sampler_worker.h"

namespace mapshift::update {

SamplerWorker::SamplerWorker(Read read, std::function<void()> done)
    : read_(std::move(read)), done_(std::move(done)), thread_([this] { work(); }) {}

SamplerWorker::~SamplerWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void SamplerWorker::ask(size_t index, const slo::Objective& objective) {
  {
    const std::lock_guard lock(mutex_);
    asked_.emplace_back(index, objective);
  }
  wake_.notify_all();
}

std::vector<std::pair<size_t, slo::Sample>> SamplerWorker::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(finished_, {});
}

bool SamplerWorker::ready() const {
  const std::lock_guard lock(mutex_);
  return !finished_.empty();
}

void SamplerWorker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !asked_.empty(); });
    if (stopping_) return;
    const auto [index, objective] = std::move(asked_.front());
    asked_.pop_front();
    lock.unlock();
    slo::Sample sample = read_(objective);
    lock.lock();
    finished_.emplace_back(index, std::move(sample));
    lock.unlock();
    done_();
    lock.lock();
  }
}

}  // namespace mapshift::update
