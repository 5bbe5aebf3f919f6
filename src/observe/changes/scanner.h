// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "kernel/change_scan.h"
#include "observe/changes/change.h"

namespace mapshift::observe::changes {

// The scans of one map. Thread-safe: a pass on request and one on time follow each other.
class MapScan {
 public:
  struct Totals {
    uint64_t passes = 0, keys = 0, deferred = 0;
    std::string problem = {};  // of the last pass; empty when it went well
  };
  // `interval` between passes; with `silence`, only after the map's numbers stood still for that long.
  MapScan(ChangeScan scan, Nanos interval, bool when_silent, std::function<uint64_t()> version)
      : scan_(std::move(scan)), interval_(interval), when_silent_(when_silent), version_(std::move(version)) {}

  [[nodiscard]] bool runs(Nanos interval, bool when_silent) const { return interval == interval_ && when_silent == when_silent_; }
  [[nodiscard]] Status pass();
  // When it is due next, after running it if it is due now.
  [[nodiscard]] Nanos run_if_due(Nanos now);
  [[nodiscard]] Totals totals();

 private:
  Status pass_locked();

  std::mutex mutex_;
  ChangeScan scan_;
  const Nanos interval_;
  const bool when_silent_;
  std::function<uint64_t()> version_;
  std::optional<Nanos> due_ = {};
  uint64_t last_version_ = 0;
  Totals totals_;
};

// Runs the scans that are due, and `tick` about once a second, on a thread of its own. Thread-safe.
class Scanner {
 public:
  explicit Scanner(std::function<void()> tick);
  Scanner(const Scanner&) = delete;
  Scanner& operator=(const Scanner&) = delete;
  ~Scanner() { stop(); }
  void stop();
  void add(std::shared_ptr<MapScan> scan);
  void remove(const MapScan* scan);

 private:
  void run();

  std::function<void()> tick_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<MapScan>> scans_;
  bool stop_ = false;
  bool dirty_ = false;
  std::thread thread_;
};

}  // namespace mapshift::observe::changes
