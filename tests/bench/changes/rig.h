// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "observe/changes/stream.h"
#include "private_bpffs.h"
#include "writers.h"

namespace mapshift::test {

using namespace observe::changes;

// A stream, and an instrumented module whose map `logged` it may watch. Throws when something is not to be had.
class Rig {
 public:
  explicit Rig(size_t history = 1u << 15);
  [[nodiscard]] Stream& stream() { return *stream_; }
  [[nodiscard]] const Writers& writers() const { return *writers_; }
  [[nodiscard]] Watch watch_of(std::vector<Source> sources) const;
  void watch(const Watch& watch);
  [[nodiscard]] MapReport report();
  [[nodiscard]] uint64_t seen();
  // What was handed out has been read or is lost.
  void drain();
  static const MapName kName;

 private:
  PrivateBpffs bpffs_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Writers> writers_;
  uint64_t first_ = 0;
};

// Puts the calling thread on one CPU for good.
void pin_thread(int cpu);
[[nodiscard]] double thread_cpu_seconds();
[[nodiscard]] double process_cpu_seconds();
// Calls `burst` (of `size` operations) so often that `rate` a second come out, for `length`.
void paced(double rate, uint32_t size, Nanos length, const std::function<void()>& burst);
[[nodiscard]] double percentile(std::vector<double>& values, double share);

struct ModeRow {
  std::string mode;
  double updates = 0;            // a second, counted by the consumer, at full speed
  double p50_ms = 0, p99_ms = 0; // write to subscriber
  double cpu = 0;                // of one CPU, all but the writer, at the paced rate
  double stale_ms = 0;           // the oldest write that a subscriber did not know of, at the worst moment
  double in_place_ms = 0;        // until a write in place that nobody marked was told; negative: never
};
[[nodiscard]] std::vector<ModeRow> compare_modes();

}  // namespace mapshift::test
