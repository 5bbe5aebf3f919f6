// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "observe/go/capture.h"
#include "observe/go/discovery.h"
#include "observe/go/look_queue.h"
#include "observe/go/probes.h"
#include "observe/go/roster.h"
#include "observe/go/timed_runner.h"
#include "observe/go/watch.h"

namespace mapshift::observe::go {

// Capture on this machine. Three threads: Watch takes note of what happens, `looker_` finds out what it means (it alone adds and
// removes processes, and analyses executables, which may take seconds), `census_` counts goroutines. reports() reads the processes on
// the caller's thread and waits for none of them.
class LiveCapture : public Capture {
 public:
  // Without probes, `why_no_probes` is shown.
  [[nodiscard]] static Result<std::unique_ptr<LiveCapture>> start(Settings settings, std::unique_ptr<Probes> probes,
                                                                  std::string why_no_probes);
  LiveCapture(const LiveCapture&) = delete;
  LiveCapture& operator=(const LiveCapture&) = delete;
  ~LiveCapture() override;

  [[nodiscard]] std::vector<ProcessReport> reports(Nanos max_age) override;
  [[nodiscard]] Result<ProcessReport> census(int pid) override;
  void configure(Settings settings) override;
  [[nodiscard]] uint64_t dropped_processes() override { return dropped_; }

 private:
  LiveCapture(Settings settings, std::unique_ptr<Probes> probes, std::string why_no_probes);
  [[nodiscard]] Settings settings() const;

  // On the looker's thread.
  void look();
  void look_at_all();
  void look_at(int pid);
  void admit(Found found);
  [[nodiscard]] bool start(const Roster::Entry& process);
  void add_probes(const Roster::Entry& process);
  void drop(const Roster::Entry& process);
  void apply_limit();
  void try_again(int pid);

  void take_censuses();
  // Whether `work` on the process returned; if not, nothing of it is read again.
  [[nodiscard]] bool in_time(TimedRunner& runner, const Roster::Entry& process, std::function<void()> work);
  [[nodiscard]] bool count_goroutines(TimedRunner& runner, const Roster::Entry& process);
  struct Round;
  void read_all();
  void finish(const Roster::Entry& process, ProcessReport& report);

  mutable std::mutex settings_mutex_;
  Settings settings_;
  std::atomic<bool> closing_{false};
  std::condition_variable settings_changed_;

  std::unique_ptr<Probes> probes_;
  const std::string why_no_probes_;
  const std::shared_ptr<Executables> executables_ = std::make_shared<Executables>();
  Roster roster_;
  LookQueue queue_;
  // Looker only.
  std::map<int, unsigned> tries_;
  std::map<int, uint64_t> shunned_;   // start times of those that cannot be looked at without waiting for ever
  bool limit_is_due_ = false;
  std::map<int, uint64_t> unlisted_;  // start times of those that are only counted
  std::atomic<uint64_t> dropped_{0};

  std::mutex reports_mutex_;
  std::vector<ProcessReport> reports_;
  Nanos reported_at_{0};

  TimedRunner looks_, walks_, reads_, asked_, recorded_;
  std::unique_ptr<Watch> watch_;
  std::thread looker_, censuses_;
};

}  // namespace mapshift::observe::go
