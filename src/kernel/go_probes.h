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

// Where the programs of one object go in one executable: offsets into the file.
using Offsets = std::vector<uint64_t>;
using ProbeSet = std::vector<Uprobes>;

struct GoRarePoints {
  Offsets stop_world, world_stopped;   // entry and returns of stopTheWorldWithSema: to 1.21, to 1.22
  Offsets start_world, world_started;  // entry and returns of startTheWorldWithSema
  Offsets gc_start, mark_termination;
};

// Tier 1 of the Go probes, loaded: bpf/probes/go_rare.bpf.c. Thread-safe, but for consume(): one thread at a time.
class GoRareProbes {
 public:
  [[nodiscard]] static Result<GoRareProbes> load(UprobeLink kind);

  // Only the processes that were added are counted, whoever else runs the executable. kTooLarge: MS_GO_MAX_PROCESSES.
  [[nodiscard]] Status add(int tgid, int go_minor) const;
  void remove(int tgid) const;
  [[nodiscard]] Result<ProbeSet> attach(const std::string& path, const GoRarePoints& points) const;
  [[nodiscard]] std::optional<ms_go_rare_process> read(int tgid) const;
  // All events since the last call, oldest first.
  void consume(const std::function<void(const ms_go_event&)>& take) const;

 private:
  struct State;
  explicit GoRareProbes(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct GoWindowPoints {
  Offsets status, netpoll_ready;
  std::array<Offsets, MS_GO_IO> io_entry = {}, io_return = {};
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
  [[nodiscard]] Result<ProbeSet> attach(const std::string& path, const GoWindowPoints& points) const;
  // Counts from now on, though not what began in a window of another number. 0: counts nothing but hits.
  void open(uint32_t window, Nanos now) const;
  // Forgets what is under way. Only while nothing is attached.
  void forget() const;
  [[nodiscard]] std::optional<ms_go_process> read(int tgid) const;
  [[nodiscard]] std::map<int, GoHistograms> histograms() const;

 private:
  struct State;
  explicit GoWindowProbes(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace mapshift
