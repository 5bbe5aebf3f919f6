// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "mapshift/sync.h"
#include "sync.skel.h"

namespace mapshift {
namespace {

constexpr uint32_t kMinHot = 1024;
constexpr uint32_t kMaxHot = 65536;
constexpr uint32_t kHotSlice = 4096;     // keys per system call, so that a hot pass holds its CPU for a few milliseconds
constexpr uint32_t kBaseSlack = 1024;
constexpr uint32_t kNoPrealloc = 1;      // BPF_F_NO_PREALLOC

uint32_t round8(uint32_t size) { return (size + 7) / 8 * 8; }

// The thread that runs a per-CPU pass sits on each CPU in turn: only there one instruction is atomic against a program
// of that CPU. Restores the affinity.
class CpuPin {
 public:
  CpuPin() { ok_ = sched_getaffinity(0, sizeof saved_, &saved_) == 0; }
  CpuPin(const CpuPin&) = delete;
  CpuPin& operator=(const CpuPin&) = delete;
  ~CpuPin() {
    if (ok_) sched_setaffinity(0, sizeof saved_, &saved_);
  }
  // Fails when the CPU is offline: its programs do not run either, so its slots may be visited from where we are.
  static void move_to(uint32_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
  }

 private:
  cpu_set_t saved_{};
  bool ok_ = false;
};

struct SkeletonDeleter {
  void operator()(sync_bpf* skeleton) const { sync_bpf::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<sync_bpf, SkeletonDeleter>;

class LinuxSync final : public Sync {
 public:
  LinuxSync(SyncSpec spec, Skeleton skeleton, uint32_t cpus)
      : spec_(std::move(spec)), skeleton_(std::move(skeleton)), cpus_(is_percpu(spec_.type0) ? cpus : 1),
        pass_number_(static_cast<uint32_t>(monotonic_now().count() / 1'000'000) | 1) {}

  Status unlock() { return run(skeleton_->progs.unlock); }

  Result<PassReport> pass(SyncPhase phase, bool complete) override {
    complete = complete || phase != SyncPhase::kPrecopy;
    PassReport report = begin(phase, complete);
    skeleton_->bss->hot_into = skeleton_->bss->hot_from ^ 1;
    skeleton_->bss->hot_count[skeleton_->bss->hot_into] = 0;
    skeleton_->bss->hot_overflow = 0;
    MS_CHECK(walk_sides(complete));
    const uint64_t keys = skeleton_->bss->stats.visited0 / cpus_;
    if (complete || keys + skeleton_->bss->stats.deleted != present_ + skeleton_->bss->stats.added) {
      MS_CHECK(run(skeleton_->progs.walk_base));
      present_ = skeleton_->bss->stats.present - skeleton_->bss->stats.deleted;
      if (skeleton_->bss->stats.tombstones > max_tombstones()) MS_CHECK(run(skeleton_->progs.sweep));
    } else {
      present_ = keys;
    }
    skeleton_->bss->hot_from = skeleton_->bss->hot_into;
    return end(report, keys);
  }

  Result<PassReport> pass_hot(SyncPhase phase) override {
    PassReport report = begin(phase, false);
    const uint32_t count = skeleton_->bss->hot_count[skeleton_->bss->hot_from];
    // The list is read, not rebuilt: what changes all the time is looked at all the time.
    skeleton_->bss->hot_into = skeleton_->bss->hot_from ^ 1;
    skeleton_->bss->hot_count[skeleton_->bss->hot_into] = 0;
    CpuPin pin;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      enter_cpu(cpu);
      for (uint32_t at = 0; at < count; at += kHotSlice) {
        skeleton_->bss->hot_begin = at;
        skeleton_->bss->hot_end = std::min(at + kHotSlice, count);
        MS_CHECK(run(skeleton_->progs.walk_hot));
      }
    }
    Result<PassReport> done = end(report, count);
    if (done) done->hot = count;
    return done;
  }

  Result<VerifyReport> verify() override {
    begin(SyncPhase::kPrecopy, true);
    skeleton_->bss->mismatched = 0;
    CpuPin pin;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      enter_cpu(cpu);
      MS_CHECK(run(skeleton_->progs.walk_verify));
    }
    MS_CHECK(run(skeleton_->progs.walk_verify_extra));
    return VerifyReport{skeleton_->bss->stats.visited0 / cpus_, skeleton_->bss->mismatched};
  }

 private:
  static Status run(const bpf_program* program) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
      return fail_errno(errno, std::string("run the sync program ") + bpf_program__name(program));
    }
    return {};
  }

  // An offline CPU is visited from where we are, and creates nothing.
  void enter_cpu(uint32_t cpu) {
    if (is_percpu(spec_.type0)) CpuPin::move_to(cpu);
    skeleton_->bss->target_cpu = cpu;
  }

  Status walk_sides(bool complete) {
    CpuPin pin;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu) {
      enter_cpu(cpu);
      MS_CHECK(run(skeleton_->progs.walk_side0));
      if (complete) MS_CHECK(run(skeleton_->progs.walk_side1));
    }
    return {};
  }

  PassReport begin(SyncPhase phase, bool complete) {
    if (++pass_number_ == 0) ++pass_number_;
    auto* bss = skeleton_->bss;
    bss->pass_number = pass_number_;
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
    report.dropped_deltas = stats.dropped_deltas;
    report.full0 = stats.full0;
    report.full1 = stats.full1;
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
  Skeleton skeleton_;
  uint32_t cpus_;
  uint32_t pass_number_;
  uint64_t present_ = 0;
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

Result<Fd> open_base(const SyncSpec& spec, const std::string& sync_dir, uint32_t cpus, bool& existed) {
  const std::string pin = sync_dir + "/base";
  const uint32_t value_size = base_value_size(spec, cpus);
  if (struct stat st{}; ::stat(pin.c_str(), &st) == 0) {
    existed = true;
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
  return fd;
}

void fill_tables(sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus, uint32_t hot_half) {
  auto* ro = skeleton.rodata;
  std::vector<uint32_t> remap_begin;
  uint32_t remaps = 0;
  for (const SyncRemap& remap : spec.remaps) {
    remap_begin.push_back(remaps);
    for (const auto& [from, to] : remap.values) {
      const_cast<__s64&>(reinterpret_cast<const __s64&>(ro->remap0[remaps])) = from;
      const_cast<__s64&>(reinterpret_cast<const __s64&>(ro->remap1[remaps])) = to;
      ++remaps;
    }
  }
  for (size_t i = 0; i < spec.fields.size(); ++i) {
    const SyncField& field = spec.fields[i];
    ms_field out{};
    out.op = static_cast<__u8>(field.op);
    out.size0 = field.size0;
    out.size1 = field.size1;
    // A misaligned scalar has no atomic instruction either.
    const bool aligned = field.offset0 % field.size0 == 0 && field.offset1 % field.size1 == 0;
    out.flags = static_cast<__u8>((field.signed0 ? MS_F_SIGNED0 : 0) | (field.signed1 ? MS_F_SIGNED1 : 0) |
                                  (field.wide || !aligned ? MS_F_WIDE : 0));
    out.off0 = field.offset0;
    out.off1 = field.offset1;
    out.group = field.group;
    if (field.remap >= 0) {
      out.remap = static_cast<__u16>(remap_begin[static_cast<size_t>(field.remap)]);
      out.remap_count = static_cast<__u16>(spec.remaps[static_cast<size_t>(field.remap)].values.size());
    }
    std::memcpy(const_cast<void*>(reinterpret_cast<const volatile void*>(&ro->fields[i])) , &out, sizeof out);
  }
  ro->nr_fields = static_cast<uint32_t>(spec.fields.size());
  ro->size0 = spec.value_size0;
  ro->size1 = spec.value_size1;
  ro->percpu = is_percpu(spec.type0);
  ro->arrays = is_array(spec.type0);
  ro->nr_cpus = ro->percpu ? cpus : 1;
  ro->lru0 = is_lru(spec.type0);
  ro->lru1 = is_lru(spec.type1);
  ro->keep_delta = spec.keep_delta;
  ro->has_remap = remaps != 0;
  ro->hot_half = hot_half;
}

Status check_spec(const SyncSpec& spec) {
  if (spec.type0 != spec.type1 && !(is_lru(spec.type0) != is_lru(spec.type1) && is_percpu(spec.type0) == is_percpu(spec.type1))) {
    return fail(ErrorCode::kUnsupported, "a " + to_string(spec.type0) + " cannot be synced with a " + to_string(spec.type1));
  }
  size_t remaps = 0;
  for (const SyncRemap& remap : spec.remaps) remaps += remap.values.size();
  if (spec.fields.size() > kMaxSyncFields || spec.defaults1.size() > kMaxSyncDefaults || remaps > kMaxSyncRemapValues ||
      spec.key_size > kMaxSyncKeySize || spec.key_size == 0 || std::max(spec.value_size0, spec.value_size1) > kMaxSyncValueSize) {
    return fail(ErrorCode::kUnsupported, "the map is beyond what the sync engine serves: keys of 64 bytes, values of 4096, 1024 fields");
  }
  for (const SyncField& field : spec.fields) {
    const bool inside = field.offset0 + uint32_t{field.size0} <= spec.value_size0 && field.offset1 + uint32_t{field.size1} <= spec.value_size1;
    const bool known = field.remap < static_cast<int32_t>(spec.remaps.size()) && field.group < 64;
    if (!inside || !known) return fail(ErrorCode::kInternal, "a field of the sync table lies outside its value");
  }
  return {};
}

// What a key that the engine creates on side 1 holds where side 0 has no field.
Status fill_defaults(const sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus) {
  if (spec.defaults1.empty()) return {};
  std::vector<std::byte> value(round8(spec.value_size1));
  for (const SyncDefault& field : spec.defaults1) {
    if (field.offset + uint32_t{field.size} > spec.value_size1) return fail(ErrorCode::kInternal, "a default lies outside its value");
    std::memcpy(value.data() + field.offset, &field.value, field.size);  // little endian
  }
  std::vector<std::byte> all;
  for (uint32_t cpu = 0; cpu < cpus; ++cpu) all.insert(all.end(), value.begin(), value.end());
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.fresh1), &zero, all.data(), BPF_ANY) != 0) return fail_errno(errno, "store the defaults");
  return {};
}

Status size_maps(sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus, uint32_t hot_half) {
  int err = bpf_map__set_value_size(skeleton.maps.fresh0, spec.value_size0);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.fresh1, spec.value_size1);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.empty_base, base_value_size(spec, cpus));
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.hot_keys, spec.key_size);
  err = err != 0 ? err : bpf_map__set_max_entries(skeleton.maps.hot_keys, 2 * hot_half);
  if (err != 0) return fail_errno(err, "size the sync engine's maps");
  return {};
}

}  // namespace

uint32_t base_value_size(const SyncSpec& spec, uint32_t possible_cpus) {
  const uint32_t slots = is_percpu(spec.type0) ? possible_cpus : 1;
  return static_cast<uint32_t>(sizeof(ms_base)) + slots * (8 + round8(spec.value_size0) + round8(spec.value_size1));
}

Result<std::unique_ptr<Sync>> open_linux_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                              const std::string& sync_dir) {
  MS_CHECK(check_spec(spec));
  const int possible = libbpf_num_possible_cpus();
  if (possible <= 0) return fail_errno(possible, "count the CPUs");
  const auto cpus = static_cast<uint32_t>(possible);
  MS_TRY(const Fd side0, open_map(map0, spec.key_size, spec.value_size0));
  MS_TRY(const Fd side1, open_map(map1, spec.key_size, spec.value_size1));
  bool existed = false;
  MS_TRY(const Fd base, open_base(spec, sync_dir, cpus, existed));

  Skeleton skeleton(sync_bpf::open());
  if (skeleton == nullptr) return fail_errno(errno, "open the sync program");
  const uint32_t hot_half = std::clamp(std::max(spec.max_entries0, spec.max_entries1) / 8, kMinHot, kMaxHot);
  fill_tables(*skeleton, spec, cpus, hot_half);
  MS_CHECK(size_maps(*skeleton, spec, cpus, hot_half));
  int err = bpf_map__reuse_fd(skeleton->maps.side0, side0.get());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton->maps.side1, side1.get());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton->maps.base, base.get());
  if (err != 0) return fail_errno(err, "hand the maps to the sync program");
  if (err = sync_bpf::load(skeleton.get()); err != 0) return fail_errno(err, "load the sync program");
  MS_CHECK(fill_defaults(*skeleton, spec, cpus));
  auto sync = std::make_unique<LinuxSync>(spec, std::move(skeleton), cpus);
  if (existed) MS_CHECK(sync->unlock());
  return sync;
}

}  // namespace mapshift
