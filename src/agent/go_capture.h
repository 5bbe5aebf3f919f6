// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "config/config.h"
#include "http/service.h"
#include "metrics/metrics.h"
#include "observe/go/capture.h"
#include "update/sources.h"

namespace mapshift::agent {

// Owns the capture of Go processes while the configuration wants one. Without it the agent does all the rest. Thread-safe.
class GoCapture {
 public:
  using Start = std::function<Result<std::unique_ptr<observe::go::Capture>>(observe::go::Settings)>;
  explicit GoCapture(Start start) : start_(std::move(start)) {}

  // Starts it, ends it or gives it other settings. That it could not be started is logged, and said to those who ask for
  // processes; the next call tries again.
  void apply(const config::GoCapture& wanted);
  void stop();

  void collect(metrics::Metrics& out);
  [[nodiscard]] http::GoProcesses processes();
  [[nodiscard]] Result<observe::go::ProcessReport> census(int pid);
  // For one update: compares with its own readings. It refers to this object.
  [[nodiscard]] decltype(update::Sources::go) source();

 private:
  // Whoever reads keeps it alive meanwhile.
  [[nodiscard]] std::shared_ptr<observe::go::Capture> running();
  void replace(std::shared_ptr<observe::go::Capture> capture, std::string why_not);

  const Start start_;
  std::mutex change_;  // one apply() or stop() at a time
  std::mutex mutex_;
  std::shared_ptr<observe::go::Capture> capture_;        // guarded by mutex_
  std::string why_not_ = "the agent has not started it yet";  // guarded by mutex_; empty while there is one
  bool starting_ = true;                                 // until the first apply(); guarded by mutex_
};

}  // namespace mapshift::agent
