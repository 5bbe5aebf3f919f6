// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "observe/go/budget.h"
#include "observe/go/pauses.h"
#include "observe/go/points.h"
#include "observe/go/probes.h"
#include "observe/go/tally.h"

namespace mapshift::observe::go {

// An executable, with all processes that run it: probes belong to the file.
struct ProbedFile {
  uint64_t device = 0, inode = 0;
  uint64_t size = 0;
  Nanos modified{0};
  // Keeps the file: by way of a process the same path may open another one after an exec, where our offsets are no places for a probe.
  Fd opened;
  bool leased = false;
  Points points;
  Uprobes rare;
  Uprobes held;           // the hot probes, where the budget lets them stay
  std::set<int> pids;
  // What is written over another file is another executable, though the inode is the same.
  [[nodiscard]] bool same_as(const ProbedFile& other) const {
    return device == other.device && inode == other.inode && size == other.size && modified == other.modified;
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(opened.get()); }
  std::string failed;     // why the hot probes could not be attached the last time
  uint32_t windows = 0;
  Nanos last_window{0};
};

// Holds a lease on the file while its probes are attached: who opens it for writing waits until we are gone. As long as a process
// runs it the kernel refuses writers by itself; but when the last one has ended, and nobody has told us yet, the file may be written
// over in place and run again, with our probes in the middle of other instructions. Where the file system knows no leases,
// that moment stays.
void guard(ProbedFile& file);
// Somebody waits for our lease.
[[nodiscard]] bool threatened(const ProbedFile& file);
[[nodiscard]] Result<std::shared_ptr<ProbedFile>> open_probed(const Traced& process, const ProbeCost& cost);

struct ProbedProcess {
  ProbedProcess(Traced process, double share, std::shared_ptr<ProbedFile> of)
      : traced(std::move(process)), file(std::move(of)), log(traced.stw_reasons), tally(traced.wait_reasons), budget(share) {}

  Traced traced;
  std::shared_ptr<ProbedFile> file;
  PauseLog log;
  Tally tally;
  Budget budget;
  std::array<Nanos, kWindowKinds> counted_to{};  // what was seen until then stands for all until then
  uint64_t rare_hits = 0;
  double seen = 0, recorded = 0;  // transitions to running, for the cross-check
  std::optional<uint64_t> last_recorded = {};  // while the probes are held
  ms_go_process last_checked{};
  uint64_t windows = 0;
};

// Eight times what the runtime is expected to have recorded between two looks. It records each eighth transition of a goroutine to
// running, and forgets to start anew when one ends (Go 1.19 to 1.26): that is one chance in eight more for whoever gets its memory,
// less the chance that it would have been recorded anyway.
[[nodiscard]] inline double expected_records(const ms_go_process& before, const ms_go_process& now) {
  return static_cast<double>(now.to_running - before.to_running) + 0.875 * static_cast<double>(now.ended - before.ended);
}

// CPU time of all threads of a process since it began; nothing when it is gone.
[[nodiscard]] std::optional<double> cpu_seconds(int pid);

// Probes as the agent runs them: one thread for the windows. Lock order: change_, mutex_.
class LiveProbes : public Probes {
 public:
  LiveProbes(GoRareProbes rare, GoWindowProbes hot, ProbeCost cost, double share);
  ~LiveProbes() override;

  [[nodiscard]] Status add(const Traced& process) override;
  void remove(int pid) override;
  void fill(int pid, ProcessReport& report) override;
  void set_budget(double share) override;
  void set_recorded(Recorded recorded) override;

 private:
  struct Window;
  [[nodiscard]] Result<std::shared_ptr<ProbedFile>> admit(const Traced& process);
  [[nodiscard]] Result<std::shared_ptr<ProbedFile>> file_of(const Traced& process);  // needs change_
  void run();
  void tick(Nanos now);                          // needs mutex_
  [[nodiscard]] bool choose(Nanos now, Window& window, Nanos& wake);  // needs mutex_
  void look(Window& window);
  [[nodiscard]] bool attach(Window& window);
  void watch(Window& window);
  void count(const Window& window);
  void hold_or_release();
  void give_way();                               // files that somebody wants to write to
  void hold(ProbedFile& file);                   // needs both locks
  void collect(ProbedProcess& process, const ms_go_process& counters, const GoHistograms& histograms);  // needs mutex_
  void collect_held();                           // needs mutex_
  void cross_check_held();
  void take(const ms_go_event& event);           // needs mutex_
  // Fewer say nothing about a ratio.
  static constexpr double kEnoughRecorded = 50;

  [[nodiscard]] double cost_of(const ProbedFile& file, const ms_go_process& now, const ms_go_process& before) const;

  const GoRareProbes rare_;
  const GoWindowProbes hot_;
  const ProbeCost cost_;
  Recorded recorded_;  // set before the first add()

  std::mutex change_;  // who attaches or detaches other than for a window
  std::mutex mutex_;   // all below
  std::condition_variable changed_;
  bool stop_ = false;
  double share_;
  bool holding_ = false;
  Nanos last_tick_{0};
  std::map<int, ProbedProcess> processes_;
  std::map<std::pair<uint64_t, uint64_t>, std::shared_ptr<ProbedFile>> files_;
  std::map<int, ms_go_process> counted_;  // the kernel's counters at the last look
  uint32_t number_ = 0;  // of the last window; the thread's alone
  std::thread thread_;
};

}  // namespace mapshift::observe::go
