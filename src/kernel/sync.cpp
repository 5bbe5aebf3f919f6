// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/fd.h"
#include "kernel/cpu_pin.h"
#include "kernel/sync_follow.h"
#include "kernel/sync_load.h"
#include "kernel/sync_tables.h"
#include "mapshift/sync.h"
#include "sync.skel.h"

namespace mapshift {
namespace {

constexpr uint32_t kHotSlice = 4096;     // keys per system call, so that a hot pass holds its CPU for a few milliseconds
constexpr uint32_t kTakeAtOnce = 1024;   // keys that a handler brought, for each system call
constexpr uint32_t kSliceKeys = 4096;    // keys for each read of an iterator: about 2 ms
constexpr uint32_t kBaseSlack = 1024;
constexpr uint32_t kNoPrealloc = 1;      // BPF_F_NO_PREALLOC

class LinuxSync final : public Sync {
 public:
  LinuxSync(SyncSpec spec, SyncSkeleton skeleton, uint32_t cpus, std::unique_ptr<WriteFollower> follower)
      : spec_(std::move(spec)), skeleton_(std::move(skeleton)), cpus_(is_percpu(spec_.type0) ? cpus : 1),
        follower_(std::move(follower)) {}

  // Before the first pass over a base that another process left: clears its locks and goes on with its pass numbers.
  Status adopt() { return run(MS_UNLOCK); }

  Result<PassReport> pass(SyncPhase phase, bool complete) override {
    const std::lock_guard lock(mutex_);
    complete = complete || phase != SyncPhase::kPrecopy;
    PassReport report = begin(phase, complete);
    skeleton_->bss->walked = skeleton_->bss->pass_number;
    skeleton_->bss->hot_into = skeleton_->bss->hot_from ^ 1;
    skeleton_->bss->hot_count[skeleton_->bss->hot_into] = 0;
    skeleton_->bss->hot_overflow = 0;
    MS_CHECK(walk_sides(complete));
    const ms_stats& stats = skeleton_->bss->stats;
    const uint64_t keys = stats.visited0 / cpus_;
    if (is_array(spec_.type0)) {  // its keys never go
    } else if (complete || keys != present_ + stats.added) {
      MS_CHECK(walk_base());
    } else {
      present_ = keys;
    }
    skeleton_->bss->hot_from = skeleton_->bss->hot_into;
    add_moves(skeleton_->bss->stats, std::exchange(between_, {}));
    Result<PassReport> done = end(report, keys);
    done->followed = skeleton_->bss->taken - std::exchange(reported_, skeleton_->bss->taken);
    if (follower_) done->missed = follower_->missed();
    // The first pass would be told each key that it makes.
    if (follower_ && !follower_->start([this] { return take_written(); })) follower_.reset();
    return done;
  }

  [[nodiscard]] bool follows() const override { return follower_ != nullptr && follower_->started(); }

  void enter(SyncPhase phase) override {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
  }

  Result<PassReport> pass_hot(SyncPhase phase) override {
    const std::lock_guard lock(mutex_);
    PassReport report = begin(phase, false);
    const uint32_t count = skeleton_->bss->hot_count[skeleton_->bss->hot_from];
    // The list is read, not rebuilt: what changes all the time is looked at all the time.
    skeleton_->bss->hot_into = skeleton_->bss->hot_from ^ 1;
    skeleton_->bss->hot_count[skeleton_->bss->hot_into] = 0;
    CpuPin pin;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      MS_CHECK(enter_cpu(pin, cpu));
      for (uint32_t at = 0; at < count; at += kHotSlice) {
        skeleton_->bss->hot_begin = at;
        skeleton_->bss->hot_end = std::min(at + kHotSlice, count);
        MS_CHECK(run(MS_WALK_HOT));
      }
    }
    Result<PassReport> done = end(report, count);
    if (done) done->hot = count;
    return done;
  }

  Result<VerifyReport> verify() override {
    const std::lock_guard lock(mutex_);
    begin(phase_, true);
    return look(MS_VERIFY);
  }

  Result<VerifyReport> verify_again() override {
    const std::lock_guard lock(mutex_);
    auto* bss = skeleton_->bss;
    if (bss->mismatched == 0) return VerifyReport{};
    begin(phase_, true);
    if (bss->mismatched > bss->suspects) return look(MS_VERIFY);  // more than are remembered
    bss->suspected = bss->suspects;
    return look(MS_VERIFY_AGAIN);
  }

 private:
  Result<VerifyReport> look(ms_order order) {
    auto* bss = skeleton_->bss;
    bss->mismatched = bss->suspects = 0;
    MS_CHECK(run(order));
    return VerifyReport{bss->stats.visited0, bss->mismatched};
  }

  // What the handler saw, between two passes. An error needs nobody: the next pass meets it as well.
  bool take_written() {
    const std::lock_guard lock(mutex_);
    auto* bss = skeleton_->bss;
    bss->stats = {};
    bss->phase = static_cast<uint32_t>(phase_);
    const uint64_t taken = bss->taken;
    bss->take_at_most = kTakeAtOnce;
    const Status done = run(MS_TAKE_WRITTEN);
    present_ += bss->stats.added;
    add_moves(between_, bss->stats);
    return done && bss->taken - taken == kTakeAtOnce;
  }

  // What counts events. What counts a state, such as keys without room, the next pass finds out anew.
  static void add_moves(ms_stats& to, const ms_stats& from) {
    to.added += from.added;
    to.changed += from.changed;
    to.conflicts += from.conflicts;
    to.clamped += from.clamped;
    to.undeclared += from.undeclared;
    to.risky += from.risky;
    to.unsafe_wide += from.unsafe_wide;
    to.from_passive += from.from_passive;
  }

  Status run(ms_order order) {
    const bpf_program* program = skeleton_->progs.engine;
    skeleton_->bss->order = order;
    char frame[64] = {};  // for a classifier, which does not look at it
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_program__type(program) == BPF_PROG_TYPE_SCHED_CLS) {
      options.data_in = frame;
      options.data_size_in = sizeof frame;
    }
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
      return fail_errno(errno, "run the sync program (order " + std::to_string(order) + " of mapshift/sync.h)");
    }
    return {};
  }

  // An offline CPU is visited from where we are, and creates nothing.
  Status enter_cpu(CpuPin& pin, uint32_t cpu) {
    if (is_percpu(spec_.type0)) MS_CHECK(pin.move_to(cpu));
    skeleton_->bss->target_cpu = cpu;
    return {};
  }

  Status walk_sides(bool complete) {
    CpuPin pin;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      MS_CHECK(enter_cpu(pin, cpu));
      MS_CHECK(walk(skeleton_->progs.slice_side0, MS_WALK_SIDE0, skeleton_->maps.side0));
      // One value for all CPUs needs one walk.
      if (complete && (cpu == 0 || is_percpu(spec_.type1))) MS_CHECK(walk(skeleton_->progs.slice_side1, MS_WALK_SIDE1, skeleton_->maps.side1));
    }
    return {};
  }

  Status walk(const bpf_program* slices, ms_order whole, const bpf_map* map) {
    if (!in_slices(spec_)) return run(whole);
    bpf_iter_link_info info{};
    info.map.map_fd = static_cast<uint32_t>(bpf_map__fd(map));
    LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = &info, .iter_info_len = sizeof info);
    const Fd link(bpf_link_create(bpf_program__fd(slices), 0, BPF_TRACE_ITER, &options));
    if (!link.valid()) return fail_errno(errno, std::string("attach the sync iterator ") + bpf_program__name(slices));
    const Fd iterator(bpf_iter_create(link.get()));
    if (!iterator.valid()) return fail_errno(errno, std::string("start the sync iterator ") + bpf_program__name(slices));
    char bytes[kSliceKeys / MS_SLICE_STEP];
    ssize_t got = 0;
    do got = ::read(iterator.get(), bytes, sizeof bytes);
    while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0) return fail_errno(errno, std::string("run the sync iterator ") + bpf_program__name(slices));
    return {};
  }

  Status walk_base() {
    ms_stats& stats = skeleton_->bss->stats;
    MS_CHECK(walk(skeleton_->progs.slice_base, MS_WALK_BASE, skeleton_->maps.base));
    present_ = stats.present - std::min(stats.present, stats.deleted);
    if (stats.tombstones == 0 || (stats.tombstones <= max_tombstones() && stats.base_full == 0)) return {};
    if (stats.base_full != 0) ++stats.pending;  // the next pass finds room
    return run(MS_SWEEP);
  }

  PassReport begin(SyncPhase phase, bool complete) {
    auto* bss = skeleton_->bss;
    if (++bss->pass_number == 0) ++bss->pass_number;
    phase_ = phase;
    bss->phase = static_cast<uint32_t>(phase);
    bss->complete = complete;
    bss->stats = {};
    PassReport report;
    report.began = monotonic_now();
    return report;
  }

  PassReport end(PassReport report, uint64_t keys) {
    const auto* bss = skeleton_->bss;
    const ms_stats& stats = bss->stats;
    report.ended = monotonic_now();
    report.keys = keys;
    report.added = stats.added;
    report.changed = stats.changed;
    report.deleted = stats.deleted;
    report.conflicts = stats.conflicts;
    report.clamped = stats.clamped;
    report.undeclared = stats.undeclared;
    report.dropped_deltas = stats.dropped_deltas;
    report.full0 = stats.full0;
    report.full1 = stats.full1;
    report.no_key0 = stats.no_key0;
    report.no_key1 = stats.no_key1;
    report.base_full = stats.base_full;
    report.pending = stats.pending;
    report.risky = stats.risky;
    report.unsafe_wide = stats.unsafe_wide;
    report.from_passive = stats.from_passive;
    report.hot = bss->hot_count[bss->hot_from & 1];
    report.hot_overflow = bss->hot_overflow != 0;
    return report;
  }

  [[nodiscard]] uint64_t max_tombstones() const { return (uint64_t{spec_.max_entries0} + spec_.max_entries1) / 8; }

  SyncSpec spec_;
  SyncSkeleton skeleton_;
  uint32_t cpus_;
  uint64_t present_ = 0, reported_ = 0;
  std::mutex mutex_;  // guards all of the above between the pass thread and the follower's
  SyncPhase phase_ = SyncPhase::kPrecopy;
  ms_stats between_{};  // moved since the last full pass
  std::unique_ptr<WriteFollower> follower_;  // goes first: its thread uses the above
};

Result<Fd> open_map(const std::string& pin, uint32_t key_size, uint32_t value_size) {
  Fd fd(bpf_obj_get(pin.c_str()));
  if (!fd.valid()) return fail_errno(errno, "open the map pinned at " + pin);
  bpf_map_info info{};
  uint32_t size = sizeof info;
  if (bpf_map_get_info_by_fd(fd.get(), &info, &size) != 0) return fail_errno(errno, "read the map pinned at " + pin);
  if (info.key_size != key_size || info.value_size != value_size) {
    return fail(ErrorCode::kInvalid, "the map pinned at " + pin + " has keys of " + std::to_string(info.key_size) + " and values of " +
                                         std::to_string(info.value_size) + " bytes, the plan says " + std::to_string(key_size) +
                                         " and " + std::to_string(value_size) + ": plan the update again");
  }
  return fd;
}

Result<Fd> open_base(const SyncSpec& spec, const std::string& sync_dir, uint32_t cpus, bool& created) {
  const std::string pin = sync_dir + "/base";
  const uint32_t value_size = base_value_size(spec, cpus);
  if (struct stat st{}; ::stat(pin.c_str(), &st) == 0) {
    return open_map(pin, spec.key_size, value_size);
  }
  const bool arrays = is_array(spec.type0);
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = arrays ? 0 : kNoPrealloc;
  const uint64_t entries = arrays ? std::max(spec.max_entries0, spec.max_entries1)
                                  : uint64_t{spec.max_entries0} + spec.max_entries1 + kBaseSlack;
  Fd fd(bpf_map_create(arrays ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH, "ms_base", spec.key_size, value_size,
                       static_cast<uint32_t>(std::min<uint64_t>(entries, UINT32_MAX)), &options));
  if (!fd.valid()) return fail_errno(errno, "create the base of " + std::to_string(entries) + " entries of " + std::to_string(value_size) + " bytes");
  if (bpf_obj_pin(fd.get(), pin.c_str()) != 0) return fail_errno(errno, "pin " + pin);
  created = true;
  return fd;
}

}  // namespace

uint32_t base_value_size(const SyncSpec& spec, uint32_t possible_cpus) {
  const uint32_t slots = is_percpu(spec.type0) ? possible_cpus : 1;
  return static_cast<uint32_t>(sizeof(ms_base)) + slots * slot_size(spec);
}

namespace {

struct OpenMaps {
  Fd side0, side1, base, second = {};  // second: only where a conversion looks at one
};

Result<std::unique_ptr<LinuxSync>> load(const SyncSpec& spec, uint32_t cpus, const OpenMaps& open, bool may_sleep) {
  auto follower = spec.follow_writes ? WriteFollower::open(spec, open.side0.get(), open.side1.get(), open.base.get()) : nullptr;
  const SyncMaps maps{open.side0.get(), open.side1.get(), open.base.get(), follower ? follower->queue() : -1, follower ? follower->queue_shift() : 0,
                      open.second.valid() ? open.second.get() : -1};
  MS_TRY(SyncSkeleton skeleton, load_sync_program(spec, cpus, maps, may_sleep));
  return std::make_unique<LinuxSync>(spec, std::move(skeleton), cpus, std::move(follower));
}

}  // namespace

Result<std::unique_ptr<Sync>> open_linux_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                              const std::string& sync_dir) {
  MS_CHECK(check_sync_spec(spec));
  const int possible = libbpf_num_possible_cpus();
  if (possible <= 0) return fail_errno(possible, "count the CPUs");
  const auto cpus = static_cast<uint32_t>(possible);
  OpenMaps open;
  MS_TRY(open.side0, open_map(map0, spec.key_size, spec.value_size0));
  MS_TRY(open.side1, open_map(map1, key_size1(spec), spec.value_size1));
  const SyncSecond* second = spec.transform && spec.transform->second ? &*spec.transform->second : nullptr;
  if (second != nullptr) {
    MS_TRY(open.second, open_map(second->pin, second->key_size, second->value_size));
  }
  bool created = false;
  MS_TRY(open.base, open_base(spec, sync_dir, cpus, created));
  auto sync = load(spec, cpus, open, true);
  const bool locks = spec.lock0 >= 0 || spec.lock1 >= 0 || (second != nullptr && second->lock >= 0);
  if (!sync && locks) sync = load(spec, cpus, open, false);
  if (!sync) {
    if (created) ::unlink((sync_dir + "/base").c_str());
    return fail(std::move(sync).error());
  }
  if (!created) MS_CHECK((*sync)->adopt());
  return std::move(*sync);
}

}  // namespace mapshift
