// SPDX-License-Identifier: Apache-2.0
#include "kernel/drain.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <mutex>
#include <optional>

#include "kernel/field_merge.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

bool same_layout(const SyncSpec& spec) {
  return spec.value_size0 == spec.value_size1 && spec.defaults1.empty() && spec.fields.empty();
}

// From one side to the other, by way of a map of its own that has the form of the side it came from.
class Way {
 public:
  // `forward`: from side 0 to side 1.
  static Result<std::unique_ptr<Way>> open(const SyncSpec& spec, const Map& from, const Map& to, const std::string& pinned, bool forward) {
    std::unique_ptr<Way> way(new Way(spec, to, forward));
    MS_TRY(way->between_, open_between(from, pinned));
    MS_TRY(way->take_, Mover::open(from, *way->between_));
    MS_TRY(way->back_, Mover::open(*way->between_, from));
    if (same_layout(spec)) {
      MS_TRY(way->give_, Mover::open(*way->between_, to));
    }
    return way;
  }

  // Adds to the report what reached the other side.
  Status move(PassReport& report) {
    MS_TRY(bool full, give(report));  // what an earlier pass, or agent, left in between
    if (!full) {
      MS_TRY(const auto taken, take_->take(between_->shape().max_entries));
      report.keys += taken.count;
      if (taken.count != 0) {
        MS_TRY(full, give(report));
      }
    }
    report.base_full += full;
    return {};
  }

  // Puts what is in between back to where it came from.
  Status turn_back(PassReport& report) {
    MS_TRY(const auto moved, back_->hand_over());
    report.changed += moved.count;
    report.base_full += moved.full;
    return {};
  }

 private:
  Way(const SyncSpec& spec, const Map& to, bool forward) : merge_(spec), to_(to), forward_(forward) {}

  static Result<Map> open_between(const Map& from, const std::string& pinned) {
    if (pin_exists(pinned)) return Map::open(pinned);
    const MapStats& shape = from.shape();
    Fd fd(bpf_map_create(static_cast<bpf_map_type>(shape.type), "ms_between", 0, shape.value_size, shape.max_entries, nullptr));
    if (!fd.valid()) return fail_errno(errno, "create the map for what is on its way from " + from.name());
    MS_CHECK(pin(fd.get(), pinned));
    return Map::from_fd(std::move(fd), pinned);
  }

  // True: the other side is full.
  Result<bool> give(PassReport& report) {
    if (!give_) return convert(report);
    MS_TRY(const auto moved, give_->hand_over());
    count(moved.count, report);
    return moved.full;
  }

  // An agent that dies between the two writes delivers one element twice.
  Result<bool> convert(PassReport& report) {
    Bytes value(between_->shape().value_size), gone(value.size());
    while (bpf_map_lookup_elem(between_->fd(), nullptr, value.data()) == 0) {
      bool clamped = false;
      const Bytes next = forward_ ? merge_.to_side1(value, clamped) : merge_.to_side0(value, clamped);
      if (bpf_map_update_elem(to_.fd(), nullptr, next.data(), BPF_ANY) != 0) {
        if (errno == E2BIG) return true;
        return fail_errno(errno, "write to " + to_.name());
      }
      if (bpf_map_lookup_and_delete_elem(between_->fd(), nullptr, gone.data()) != 0) return fail_errno(errno, "take from " + between_->name());
      report.clamped += clamped;
      report.undeclared += merge_.is_undeclared(value, !forward_);
      count(1, report);
    }
    return errno == ENOENT ? Result<bool>(false) : fail_errno(errno, "read " + between_->name());
  }

  static void count(uint64_t moved, PassReport& report) {
    report.added += moved;
    report.from_passive += moved;
  }

  const FieldMerge merge_;
  const Map& to_;
  const bool forward_;
  std::optional<Map> between_;
  std::unique_ptr<Mover> take_, give_ /* null: elements are converted one by one */, back_;
};

class DrainSync final : public Sync {
 public:
  static Result<std::unique_ptr<Sync>> open(SyncSpec spec, Map side0, Map side1, const std::string& sync_dir) {
    std::unique_ptr<DrainSync> sync(new DrainSync(std::move(spec), std::move(side0), std::move(side1), sync_dir));
    MS_TRY(sync->forth_, Way::open(sync->spec_, sync->side0_, sync->side1_, sync_dir + "/base", true));
    if (pin_exists(sync_dir + "/back")) MS_CHECK(sync->open_back());
    return std::unique_ptr<Sync>(std::move(sync));
  }

  Result<PassReport> pass(SyncPhase phase, bool /*complete*/) override {
    const std::lock_guard lock(mutex_);
    PassReport report;
    report.began = monotonic_now();
    switch (phase) {
      case SyncPhase::kPrecopy: break;
      case SyncPhase::kLiveNew:
        if (back_) MS_CHECK(back_->turn_back(report));
        MS_CHECK(forth_->move(report));
        break;
      case SyncPhase::kLiveOld:
        MS_CHECK(forth_->turn_back(report));
        if (!back_) MS_CHECK(open_back());
        MS_CHECK(back_->move(report));
        break;
    }
    report.ended = monotonic_now();
    return report;
  }

  Result<PassReport> pass_hot(SyncPhase phase) override { return pass(phase, true); }
  // Both sides together hold what there is.
  Result<VerifyReport> verify() override { return VerifyReport{}; }

 private:
  DrainSync(SyncSpec spec, Map side0, Map side1, const std::string& dir)
      : spec_(std::move(spec)), side0_(std::move(side0)), side1_(std::move(side1)), dir_(dir) {}

  Status open_back() {
    MS_TRY(back_, Way::open(spec_, side1_, side0_, dir_ + "/back", false));
    return {};
  }

  const SyncSpec spec_;
  const Map side0_, side1_;
  const std::string dir_;
  std::unique_ptr<Way> forth_, back_;  // back_: only after a rollback
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<Sync>> open_drain(const SyncSpec& spec, const std::string& map0, const std::string& map1, const std::string& sync_dir) {
  MS_TRY(Map side0, Map::open(map0));
  MS_TRY(Map side1, Map::open(map1));
  const bool fits = side0.shape().type == side1.shape().type && side0.shape().value_size == spec.value_size0 &&
                    side1.shape().value_size == spec.value_size1;
  if (!fits) return fail(ErrorCode::kInvalid, map0 + " or " + map1 + " has another form than the plan says: plan the update again");
  return DrainSync::open(spec, std::move(side0), std::move(side1), sync_dir);
}

}  // namespace mapshift
