// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <mapshift/go.h>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kernel/uprobe.h"

struct go_rare_bpf;
struct go_window_bpf;

namespace mapshift {

// Where probes go in one executable; cookies are of ms_go_place.
using Places = std::vector<UprobePlace>;

// Tier 1 of the Go probes, loaded: bpf/probes/go_rare.bpf.c. Thread-safe, but for consume(): one thread at a time.
class GoRareProbes {
 public:
  [[nodiscard]] static Result<GoRareProbes> load(UprobeLink kind);

  // Only the processes that were added are counted, whoever else runs the executable. kTooLarge: MS_GO_MAX_PROCESSES.
  [[nodiscard]] Status add(int tgid, int go_minor) const;
  void remove(int tgid) const;
  [[nodiscard]] Result<Uprobes> attach(const std::string& path, const Places& places) const;
  [[nodiscard]] std::optional<ms_go_rare_process> read(int tgid) const;
  // All events since the last call, oldest first.
  void consume(const std::function<void(const ms_go_event&)>& take) const;

 private:
  struct State;
  explicit GoRareProbes(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct GoHistogramKey {
  uint16_t kind = 0;    // ms_go_histogram_kind
  uint16_t reason = 0;
  auto operator<=>(const GoHistogramKey&) const = default;
};
// Of all CPUs; these only grow as long as the process is there.
using GoHistograms = std::map<GoHistogramKey, ms_go_histogram>;

// Tier 2 of the Go probes, loaded: bpf/probes/go_window.bpf.c. Thread-safe.
class GoWindowProbes {
 public:
  [[nodiscard]] static Result<GoWindowProbes> load(UprobeLink kind);

  [[nodiscard]] Status add(int tgid, uint32_t waitreason_offset, uint32_t flags) const;
  void remove(int tgid) const;
  [[nodiscard]] Result<Uprobes> attach(const std::string& path, const Places& places) const;
  // Counts from now on, though not what began in a window of another number. 0: counts nothing but hits.
  void open(uint32_t window, Nanos now) const;
  // Forgets what is under way: of one process that has ended, or of all (0), while nothing is attached.
  void forget(int tgid = 0) const;
  [[nodiscard]] std::optional<ms_go_process> read(int tgid) const;
  [[nodiscard]] std::map<int, GoHistograms> histograms() const;

 private:
  struct State;
  explicit GoWindowProbes(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace mapshift
