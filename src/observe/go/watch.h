// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "kernel/process_events.h"

namespace mapshift::observe::go {

// Tells which processes to look at, from a thread of its own: those that executed a program, those watched that ended, and now and
// then all. `look` and `look_at_all` must only take note.
class Watch {
 public:
  using Look = std::function<void(int pid)>;
  using LookAtAll = std::function<void()>;
  [[nodiscard]] static Result<std::unique_ptr<Watch>> start(Look look, LookAtAll look_at_all);
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch();  // waits for the thread

  // `pidfd` stays the caller's until unwatch(). Thread-safe.
  void watch(int pid, const Fd& pidfd) const;
  void unwatch(const Fd& pidfd) const;
  // Why new processes are found late, or empty.
  [[nodiscard]] const std::string& shortcoming() const { return shortcoming_; }

  // New processes are found by their exec; all are looked at for what that misses (a fork without exec, a lost event).
  static constexpr Nanos kRescan = std::chrono::seconds(60);
  static constexpr Nanos kRescanWithoutEvents = std::chrono::seconds(10);

 private:
  Watch(Look look, LookAtAll look_at_all, Fd epoll, Fd stop);
  void open_events();
  void run();
  void take_events();
  [[nodiscard]] bool nap() const;

  const Look look_;
  const LookAtAll look_at_all_;
  const Fd epoll_, stop_;
  std::optional<ProcessEvents> events_;
  bool same_numbers_ = true;  // our pid namespace is the first one, whose pids the kernel's events name
  std::string shortcoming_;
  std::thread thread_;
};

}  // namespace mapshift::observe::go
