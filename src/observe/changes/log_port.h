// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "kernel/change_log.h"
#include "observe/changes/reader.h"

namespace mapshift::observe::changes {

// The real log as the reader sees it.
class LogPort final : public ReaderPort {
 public:
  [[nodiscard]] static Result<std::unique_ptr<LogPort>> open(ChangeLog& log) {
    MS_TRY(RingWaiter waiter, RingWaiter::make(RingWaiter::Trigger::kEdge));
    MS_CHECK(waiter.add(log.ring()));
    return std::unique_ptr<LogPort>(new LogPort(log, std::move(waiter)));
  }
  [[nodiscard]] RingReader& ring() override { return log_.ring().reader(); }
  [[nodiscard]] uint64_t sequence(uint32_t slot) const override { return log_.sequence(slot); }
  void set_wake_at(uint64_t bytes) override { log_.set_wake_at(bytes); }
  void wait(Nanos timeout) override { waiter_.wait(timeout); }
  void wake() override { waiter_.wake(); }

 private:
  LogPort(ChangeLog& log, RingWaiter waiter) : log_(log), waiter_(std::move(waiter)) {}

  ChangeLog& log_;
  RingWaiter waiter_;
};

}  // namespace mapshift::observe::changes
