// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "observe/go/census.h"
#include "observe/go/executable.h"
#include "observe/go/probes.h"
#include "observe/go/procfs.h"
#include "observe/go/report.h"
#include "observe/go/tier0.h"

namespace mapshift::observe::go {

// A process that runs a Go executable, as discovery found it. The same pid after another exec is another one.
struct Found {
  int pid = 0;
  uint64_t start_ticks = 0;
  std::string path, cgroup;
  FileKey key;
  std::shared_ptr<const Fd> file;  // open: whatever the process becomes, this is what was analysed
  std::shared_ptr<const Executable> executable;
  std::optional<Image> image = {};  // nothing: the kernel does not show it, so its memory is out of reach
  Fd pidfd;
};

// One Go process, captured or with the reason why it is not. Thread-safe; nothing that it does waits for the process.
class Process {
 public:
  Process(Found found, std::string name, State state);

  [[nodiscard]] int pid() const { return found_.pid; }
  [[nodiscard]] const Found& found() const { return found_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] State state() const;

  // Reads the process for the first time and decides whether what is there can be believed. Until then it is kOverLimit.
  // False: its runtime has not come up yet, or it is another process now: ask discovery again.
  [[nodiscard]] bool start();
  void stop();     // kOverLimit again
  void give_up();  // for good: a read of its memory did not return
  // Ends a capture that cannot go on, or adds what is not captured.
  void add_note(const std::string& note);

  enum class Reading : uint8_t { kDone, kGone, kReplaced };
  // Everything but what probes know. A census is taken when it costs less than 1/1000 of the time since the last one and fits
  // into `census_budget`, which it is taken from.
  [[nodiscard]] Reading read(ProcessReport& report, Nanos& census_budget);
  [[nodiscard]] Reading take_census();
  // Observations in the runtime's histogram of scheduling latencies.
  [[nodiscard]] std::optional<uint64_t> recorded() const;
  [[nodiscard]] Traced traced() const;
  // What needs no memory: identity, state, reason, notes.
  [[nodiscard]] ProcessReport outline() const;
  [[nodiscard]] bool still_same() const;

 private:
  [[nodiscard]] Nanos uptime() const;
  // Reads the figures and holds them to those before; a Status of kUnsupported when they cannot be true.
  [[nodiscard]] Result<Figures> believed(const Figures* before) const;
  [[nodiscard]] Result<Census> walk() const;
  void refuse(const Error& error);
  [[nodiscard]] Reading after_failure(const Error& error);
  [[nodiscard]] bool census_is_due(Nanos budget) const;
  void fill_goroutines(const Figures& figures, ProcessReport& report) const;
  [[nodiscard]] Status first_reading();

  const Found found_;
  const std::string name_;
  const Memory memory_;
  mutable std::mutex mutex_;  // of all below; never held while the process is read
  State state_;
  std::string reason_;
  std::vector<std::string> notes_;
  uint64_t bias_ = 0;
  std::vector<std::string> wait_reasons_, stw_reasons_;
  std::optional<Figures> last_;
  std::optional<Census> census_;
  Nanos refused_at_{0}, refused_took_{0};  // the last walk that met no goroutines; 0: none
};

}  // namespace mapshift::observe::go
