// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernel/kernel.h"

namespace mapshift {

// What a call that is made to go wrong does first. Death ends the agent: from then on no call does anything, whoever makes it.
enum class Fault : uint8_t {
  kError,      // nothing, then an error
  kErrorDone,  // all of it, and an error all the same
  kDieBefore, kDieMidway /* part of it, where it has parts */, kDieAfter,
};

// Numbers from 0 the calls that one thread, the one that made it, makes to everything that can fail; calls of other threads
// have no number and fail only when the agent is dead. Thread-safe.
class Steps {
 public:
  enum class Verdict : uint8_t { kGo, kFail, kGoThenFail, kGoHalfThenFail };

  void fault_at(size_t n, Fault fault) { faults_[n] = fault; }
  // Called on the update's thread before each of its calls; may order something, or look.
  void on_call(std::function<void(size_t n, const std::string& call)> hook) { hook_ = std::move(hook); }
  [[nodiscard]] Verdict next(const std::string& call);
  [[nodiscard]] bool dead() const;
  [[nodiscard]] bool numbers_me() const { return std::this_thread::get_id() == thread_; }
  [[nodiscard]] std::vector<std::string> calls() const;
  [[nodiscard]] size_t find(const std::string& part, size_t from = 0) const;  // first call with it; calls().size() when there is none
  // The agent's next life: counts from 0 again, without faults.
  void revive();

 private:
  mutable std::mutex mutex_;
  const std::thread::id thread_ = std::this_thread::get_id();
  std::map<size_t, Fault> faults_;
  std::function<void(size_t, const std::string&)> hook_;
  std::vector<std::string> calls_;
  bool dead_ = false;
};

[[nodiscard]] tl::unexpected<Error> injected(const std::string& call);

// A small world in memory: pins, hooks, programs that count events in their maps, and a three-way synchronisation of these
// counters. Each numbered call is preceded by one event at every hook, so that a lost event, a lost or doubled count and a
// hook that runs nothing show wherever they happen. Thread-safe.
class FakeKernel final : public Kernel {
 public:
  // An object file: its maps, and its programs with the map that each counts in.
  struct FakeObject {
    std::vector<std::string> maps;
    std::map<std::string, std::string> programs;
    std::set<std::string> broken;  // programs that the verifier refuses
  };

  explicit FakeKernel(Steps& steps) : steps_(steps) {}

  std::map<std::string, FakeObject> objects;      // by path
  std::function<void(PassReport&, SyncPhase, const std::string& sync_dir)> on_pass;  // edits what a pass reports
  std::vector<uint64_t> mismatched;  // what the looks at both sides find, one after the other; then nothing
  Nanos swap_takes{0};
  std::optional<std::vector<std::byte>> element;  // what read_element answers
  std::function<SidesReport(const std::string& hook_dir, uint32_t share)> sides;  // what side_stats answers

  // Pins with what they are of, and hooks with what they run, one a line: all that an outsider could see.
  [[nodiscard]] std::string state() const;
  // One event at every hook, outside any call.
  void traffic();
  [[nodiscard]] uint64_t events(const std::string& hook) const;  // at the hook, whether a program ran or not
  [[nodiscard]] uint64_t unseen(const std::string& hook) const;  // of these, while no program was there
  [[nodiscard]] uint64_t count(const std::string& map_pin) const;
  [[nodiscard]] uint64_t hook_count() const;  // hooks that run something
  [[nodiscard]] std::string runs(const std::string& hook) const;  // the program's first pin, or ""
  [[nodiscard]] bool exists(const std::string& pin_or_folder) const;
  void erase(const std::string& pin);  // as somebody else would
  // The interface that this hook is attached to goes away for good.
  void vanish(const std::string& interface, const std::string& hook_dir);

  [[nodiscard]] Result<LoadReport> load(const LoadRequest& request) override;
  [[nodiscard]] Status remove_tree(const std::string& dir) override;
  [[nodiscard]] Status publish(const std::string& source, const std::string& published) override;
  [[nodiscard]] Status unpublish(const std::string& published) override;
  [[nodiscard]] Status check_hook(const Hook& hook) override;
  [[nodiscard]] Result<SwapMode> swap_mode(const Hook& hook) override;
  [[nodiscard]] Status attach(const Hook& hook, const std::string& hook_dir, const std::string& program) override;
  [[nodiscard]] Result<SwapReport> swap(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                        const std::string& to) override;
  [[nodiscard]] Result<int> running(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                    const std::string& to) override;
  [[nodiscard]] Status detach(const std::string& hook_dir) override;
  [[nodiscard]] Result<bool> place_gone(const std::string& hook_dir) override;
  [[nodiscard]] Status stage(const Hook& hook, const std::string& hook_dir, const std::string& from, const std::string& to) override;
  [[nodiscard]] Status unstage(const Hook& hook, const std::string& hook_dir, const std::string& from) override;
  [[nodiscard]] Result<Course> course(const std::string& together_dir) override;
  [[nodiscard]] Result<SwapReport> set_course(const std::string& together_dir, const Course& from, const Course& to) override;
  [[nodiscard]] Result<SidesReport> side_stats(const std::string& hook_dir, const std::string& from, const std::string& to) override;
  [[nodiscard]] Status grace_period() override;
  [[nodiscard]] Result<std::unique_ptr<Sync>> open_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                        const std::string& sync_dir) override;
  [[nodiscard]] Result<ProgramStats> program_stats(const std::string& program) override;
  [[nodiscard]] Result<ProgramStats> hook_stats(const std::string& hook_dir) override;
  [[nodiscard]] Result<MapStats> map_stats(const std::string& map) override;
  [[nodiscard]] Result<uint64_t> count_entries(const std::string& map) override;
  [[nodiscard]] Result<std::vector<std::byte>> read_element(const std::string& map, const std::vector<std::byte>& key) override;
  [[nodiscard]] Result<MapSpec> read_map_spec(const std::string& map) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& dir) override;
  [[nodiscard]] uint64_t available_memory() override { return uint64_t{1} << 40; }

 private:
  class FakeSync;
  struct Thing {  // anything that can be pinned
    char kind = 'm';  // map, program, link, base, dispatcher's map
    uint64_t id = 0;
    uint64_t count = 0;                 // of a map
    std::shared_ptr<Thing> counts_in = {};  // of a program
    std::string hook = {};              // of a link
    uint64_t base0 = 0, base1 = 0;      // of a base
  };
  using ThingRef = std::shared_ptr<Thing>;
  struct Seen {
    uint64_t events = 0, unseen = 0;
  };
  struct Staged {  // a hook behind a dispatcher of the module
    ThingRef slots[2] = {};
    bool own = false;
  };

  // Runs `act(half)` as the steps say; `half`: do a part of it only.
  template <class Act>
  auto step(const std::string& call, Act act) -> decltype(act(false));
  void event();
  void detach_empty_hooks();
  void run_active(const std::string& hook_dir);
  [[nodiscard]] Status stands(const std::string& hook_dir) const;
  [[nodiscard]] bool goes_astray(const std::string& hook_dir, uint64_t event) const;
  [[nodiscard]] ThingRef make(char kind);
  [[nodiscard]] Result<ThingRef> pinned(const std::string& path) const;
  void remove_below(const std::string& dir, bool half);
  [[nodiscard]] Result<PassReport> pass(Thing& base, Thing& map0, Thing& map1, SyncPhase phase, const std::string& dir);

  Steps& steps_;
  mutable std::mutex mutex_;
  uint64_t last_id_ = 0;
  std::map<std::string, ThingRef> pins_;
  std::map<std::string, ThingRef> hooks_;  // program that runs, by hook folder
  std::map<std::string, Seen> seen_;       // by hook folder
  std::map<std::string, Staged> staged_;   // by hook folder
  std::optional<Course> course_;
  std::set<std::string> lost_, gone_;      // interfaces, and hook folders
};

template <class Act>
auto FakeKernel::step(const std::string& call, Act act) -> decltype(act(false)) {
  const Steps::Verdict verdict = steps_.next(call);
  const std::lock_guard lock(mutex_);
  if (steps_.numbers_me()) event();  // other threads are not in step with the update: a run is to be the same each time
  switch (verdict) {
    case Steps::Verdict::kGo: return act(false);
    case Steps::Verdict::kGoThenFail: (void)act(false); break;
    case Steps::Verdict::kGoHalfThenFail: (void)act(true); break;
    case Steps::Verdict::kFail: break;
  }
  return injected(call);
}

}  // namespace mapshift
