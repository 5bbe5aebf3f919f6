// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kernel/kernel.h"
#include "slo/analysis.h"
#include "update/journal.h"
#include "update/limits.h"
#include "update/manifest.h"
#include "update/paths.h"
#include "update/plan.h"
#include "update/sampler.h"
#include "update/sampler_worker.h"

namespace mapshift::update {

// What ends an update, or asks it to.
enum class Order : uint8_t { kNone, kRollback, kCommit, kAbort, kStop /* the agent ends; a baking update goes on at the next start */ };

struct RunInput {
  UpdateRecord record;  // with id, module, generations and what the plan says of maps and programs
  std::string intent;   // of a resumed update: what was intended last
  Plan plan;
  Manifest old_manifest, new_manifest;
  ObjectSpec old_object, new_object;
  std::map<std::string, AttachSpec> old_attach, new_attach;  // by program
  std::string new_object_path;
  std::string log_dir, bpffs;
  slo::Analysis analysis;
  Limits limits;
  Sources sources = {};
  // Called on the update's thread: what is about to be loaded may be added to; and <module>/maps/ names this generation's maps now.
  std::function<Status(LoadRequest& request)> before_load = {};
  std::function<void(uint64_t generation)> published = {};
};

// Journal intents, in the order of an update's life.
inline constexpr const char* kIntentLoad = "load";
inline constexpr const char* kIntentSwap = "swap";
inline constexpr const char* kIntentBake = "bake";
inline constexpr const char* kIntentCommit = "commit";
inline constexpr const char* kIntentRollback = "rollback";
inline constexpr const char* kIntentUndone = "undone";  // the old generation runs and has everything; the new one is left to drop

// The life of one update, from loading to its end.
//
// Invariant: until kIntentSwap is on disk the old generation runs alone and undoing is dropping the new one. From then to
// kIntentCommit both generations' maps are kept in step, and `restore` brings every hook back to the old one whatever the
// point of failure; it asks each hook what it runs instead of remembering. From kIntentUndone on the old one runs alone again,
// from kIntentCommit on the new one.
//
// Threads: execute() and resume() run on one thread of the caller's; everything else may be called from any thread.
class Run {
 public:
  Run(Kernel& kernel, Journal& journal, Observer& observer, RunInput input);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void execute();
  // After a restart: finishes or undoes what a former agent left. A baking update bakes anew, since nothing judged it
  // while no agent ran. One whose base is gone cannot be continued exactly: it is undone, and the record says so.
  void resume();

  // kConflict when the update has ended, or cannot be committed yet. The first decision stands: kStop does not replace it.
  [[nodiscard]] Status order(Order order, const std::string& reason, const std::string& trigger);
  [[nodiscard]] UpdateRecord record() const;
  [[nodiscard]] UpdateRecord wait(uint64_t since, Nanos timeout) const;
  // True when the thread has nothing left to do; the state is final, or kBaking after kStop.
  [[nodiscard]] bool ended() const;

 private:
  struct Pair {  // two maps in step
    const MapPlan* plan;
    std::unique_ptr<Sync> sync;
    size_t record;      // index into record_.maps
    Nanos cost{0};      // of the last full pass
    std::optional<Nanos> failing_since = {};  // of its passes during the bake
    Nanos next_compare{0};
  };
  class Refresher;

  // run.cpp: the state machine
  void enter(State state, const std::function<void(UpdateRecord&)>& edit = {});
  [[nodiscard]] Status intend(const char* intent);
  void intend_or_log(const char* intent);
  [[nodiscard]] Status advance();
  [[nodiscard]] Status clear_leftovers();
  [[nodiscard]] Status load();
  void give_up(const Error& error);
  void conclude();
  void commit(const std::string& reason, const std::string& trigger);
  void roll_back(const std::string& reason, const std::string& trigger);
  void finish(State state, const std::string& reason, const std::string& trigger);
  void publish_record(const std::function<void(UpdateRecord&)>& edit, bool store);
  [[nodiscard]] Status interrupted();  // an error when somebody ordered the end
  [[nodiscard]] Order pending_order() const;
  struct Decision {
    Order order = Order::kNone;
    std::string reason, trigger;
  };
  [[nodiscard]] Decision decision() const;
  void warn(const std::string& code, const std::string& where, const std::string& message);

  // run_resume.cpp
  [[nodiscard]] bool nothing_left();
  void resume_commit();
  void resume_undone();
  void resume_swapped(bool decided);
  void resume_without_base(const Error& why);
  [[nodiscard]] Status check_bases();

  // run_sync.cpp
  [[nodiscard]] Status open_pairs();
  [[nodiscard]] Result<PassReport> pass(Pair& pair, SyncPhase phase, bool complete);
  [[nodiscard]] Status precopy();
  [[nodiscard]] Status precopy_one(Pair& pair, Nanos deadline);
  [[nodiscard]] Status settle(SyncPhase phase, Nanos timeout);
  void account(Pair& pair, const PassReport& report, SyncPhase phase);
  void keep_warm();
  [[nodiscard]] Result<VerifyReport> differing(Pair& pair);
  void verify();

  // run_kept.cpp
  void keep_old_maps();
  [[nodiscard]] Status move_aside(const MapPlan& map);

  // run_outcome.cpp
  void look_at_hooks();
  void look_at_maps();
  [[nodiscard]] bool same_map(const std::string& own, const std::string& shown);
  void note_lost_pins(uint64_t generation, const std::vector<std::string>& own);

  // run_swap.cpp
  [[nodiscard]] Status bring_up_to_date(SyncPhase phase, Nanos& fresh_since);
  [[nodiscard]] Status swap();
  [[nodiscard]] ProgramPlan::Swap swap_of(const ProgramPlan& program) const;
  [[nodiscard]] Status swap_program(const ProgramPlan& program, SwapReport& report);
  [[nodiscard]] Result<SwapReport> move_in_order();
  void note_overlap(const std::string& program, Nanos length);
  [[nodiscard]] Status publish_maps(uint64_t from, uint64_t to);
  [[nodiscard]] bool old_runs_alone();
  [[nodiscard]] Status restore(bool swapped);
  [[nodiscard]] Status swap_back(Nanos fresh_since);
  [[nodiscard]] Result<bool> drop_if_gone(const ProgramPlan& program);
  [[nodiscard]] Status attach_again(const ProgramPlan& program, const Hook& hook);
  [[nodiscard]] Status without_place(const ProgramPlan& program, const Hook& hook, const Error& error);
  [[nodiscard]] tl::unexpected<Error> note_taken(const ProgramPlan& program, const Error& error);
  [[nodiscard]] Status bring_back(const ProgramPlan& program, const Hook& hook);
  [[nodiscard]] Status restore_program(const ProgramPlan& program);
  [[nodiscard]] Status drop(uint64_t generation);

  // run_together.cpp
  [[nodiscard]] bool together() const { return input_.plan.together; }
  [[nodiscard]] Hook hook_of(const ProgramPlan& program) const;
  struct Sides {  // the pins of what a hook runs in each generation; empty: nothing
    std::string from, to;
  };
  [[nodiscard]] std::optional<Sides> sides_of(const ProgramPlan& program) const;
  [[nodiscard]] Status stage_all();
  [[nodiscard]] Status unstage_all();
  // Whether events go to the new generation. A hook that somebody else changed is an error for kEach; the others answer for it for kAny.
  enum class Asked : uint8_t { kEach, kAny };
  [[nodiscard]] Result<bool> runs_new(Asked asked);
  [[nodiscard]] Result<SwapReport> steer(bool to_new, double share, bool watched);
  [[nodiscard]] Result<SwapReport> move_together();
  [[nodiscard]] Status move_back();
  [[nodiscard]] Status restore_together();

  // run_canary.cpp
  [[nodiscard]] bool judged_by_verdicts() const;
  [[nodiscard]] Nanos step_length() const;
  [[nodiscard]] Status canary();
  [[nodiscard]] Status canary_step(size_t step);
  [[nodiscard]] std::map<std::string, double> baselines_now();
  [[nodiscard]] Status time_old_side();
  [[nodiscard]] SideStats old_side_of(const slo::Objective& objective) const;
  void break_off(double share, const slo::Decision& decision);
  void hold(double share, const slo::Decision& decision);
  void compare_sides();
  void stop_watching();

  // run_bake.cpp
  void start_worker();
  void measure_baseline();
  [[nodiscard]] bool read_baselines(std::map<std::string, std::vector<slo::Sample>>& readings);
  void bake();
  void measure(slo::AnalysisRun& analysis);
  void store_measurements();
  void catch_up_journal();
  void judge(slo::AnalysisRun& analysis, size_t index, const slo::Sample& sample);
  [[nodiscard]] bool decided(const slo::AnalysisRun& analysis);
  [[nodiscard]] Result<double> migration(const slo::Objective& objective);
  [[nodiscard]] Status compare(Pair& pair);

  Kernel& kernel_;
  Journal& journal_;
  Observer& observer_;
  const RunInput input_;
  const Paths paths_;
  Sampler sampler_;
  std::vector<Pair> pairs_;
  bool owns_new_ = false;  // what lies in the new generation's folder is this update's
  bool swap_begun_ = false;
  bool canary_begun_ = false;
  SyncPhase live_ = SyncPhase::kLiveNew;  // who is active while both sides may be written
  std::set<std::string> taken_;    // programs whose hooks somebody else held when this update came to change them
  std::set<std::string> skipped_;  // optional programs that the new generation has to do without
  // A rollback was decided and the hooks still run the new generation: nothing is written to disk but its intent, since each
  // write waits for the disk. Like the next two it belongs to the update's thread.
  bool urgent_ = false;
  std::vector<slo::Measurement> unstored_;
  Nanos next_store_{0};
  Nanos began_, phase_began_;
  Nanos next_warm_{0}, next_sides_{0};

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  UpdateRecord record_;                     // guarded by mutex_
  Order order_ = Order::kNone;              // guarded by mutex_
  std::string order_reason_, order_trigger_;  // guarded by mutex_
  Nanos cause_at_{0};                       // when what ends the update was known; 0: not yet; guarded by mutex_
  bool ended_ = false;                      // guarded by mutex_
  std::unique_ptr<SamplerWorker> worker_;   // while it bakes; last: its thread uses the above
};

}  // namespace mapshift::update
