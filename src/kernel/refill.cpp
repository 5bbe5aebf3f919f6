// SPDX-License-Identifier: Apache-2.0
#include "kernel/refill.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "kernel/inner_form.h"
#include "kernel/inner_pairs.h"
#include "kernel/pin.h"
#include "kernel/table.h"

namespace mapshift {
namespace {

using Ids = InnerPairs::Ids;
using Slots = std::map<Bytes, uint32_t, BytesLess>;  // outer key -> id of the inner map
using Steps = std::map<Bytes, Ids, BytesLess>;

void take_ids(const Bytes& value, Ids& ids) {
  std::memcpy(&ids.first, value.data(), sizeof ids.first);
  std::memcpy(&ids.second, value.data() + sizeof ids.first, sizeof ids.second);
}

class RefillSync final : public Sync {
 public:
  static Result<std::unique_ptr<Sync>> open(const SyncSpec& spec, const std::string& map0, const std::string& map1, const std::string& dir) {
    MS_TRY(Map outer0, Map::open(map0));
    MS_TRY(Map outer1, Map::open(map1));
    if (outer0.shape().type != outer1.shape().type || outer0.shape().key_size != outer1.shape().key_size) {
      return fail(ErrorCode::kUnsupported, map0 + " and " + map1 + " are maps of maps with other keys: they must have the same type and keys");
    }
    std::unique_ptr<RefillSync> sync(new RefillSync(std::move(outer0), std::move(outer1)));
    MS_TRY(sync->base_, open_base(sync->outer0_, sync->outer1_, dir + "/base"));
    MS_CHECK(sync->read_base());
    MS_TRY(sync->pairs_, InnerPairs::open(spec, map0, map1, dir));
    return std::unique_ptr<Sync>(std::move(sync));
  }

  Result<PassReport> pass(SyncPhase phase, bool complete) override {
    const std::lock_guard lock(mutex_);
    phase_ = phase;
    puts0_.clear();  // of a pass that failed
    puts1_.clear();
    report_ = {};
    MS_TRY(const Slots slots0, read_slots(outer0_));
    MS_TRY(const Slots slots1, read_slots(outer1_));
    MS_CHECK(follow(slots0, slots1));
    report_.began = monotonic_now();  // making counterparts is no part of what tells a stalled pass
    MS_CHECK(pairs_->pass(phase, complete, report_));
    MS_CHECK(forget_unused());
    report_.ended = monotonic_now();
    return report_;
  }

  Result<PassReport> pass_hot(SyncPhase phase) override {
    const std::lock_guard lock(mutex_);
    PassReport report;
    report.began = monotonic_now();
    MS_CHECK(pairs_->pass_hot(phase, report));
    report.ended = monotonic_now();
    return report;
  }

  void enter(SyncPhase phase) override {
    const std::lock_guard lock(mutex_);
    pairs_->enter(phase);
  }

  Result<VerifyReport> verify() override { return compare(false); }
  Result<VerifyReport> verify_again() override { return compare(true); }

 private:
  Result<VerifyReport> compare(bool again) {
    const std::lock_guard lock(mutex_);
    MS_TRY(VerifyReport report, pairs_->verify(again));
    MS_TRY(const Slots slots0, read_slots(outer0_));
    MS_TRY(const Slots slots1, read_slots(outer1_));
    for (const auto& [key, ids] : known_) {
      const Ids now{find(slots0, key), find(slots1, key)};
      ++report.keys;
      report.mismatched += now == ids && ids.first != 0 && !pairs_->contains(ids);
    }
    return report;
  }

  RefillSync(Map outer0, Map outer1) : outer0_(std::move(outer0)), outer1_(std::move(outer1)) {}

  static Result<std::optional<Map>> open_base(const Map& outer0, const Map& outer1, const std::string& pinned) {
    if (pin_exists(pinned)) {
      MS_TRY(Map map, Map::open(pinned));
      return std::optional<Map>(std::move(map));
    }
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
    const uint64_t entries = std::min<uint64_t>(uint64_t{outer0.shape().max_entries} + outer1.shape().max_entries + 64, UINT32_MAX);
    Fd fd(bpf_map_create(BPF_MAP_TYPE_HASH, "ms_base", outer0.shape().key_size, sizeof(Ids), static_cast<uint32_t>(entries), &options));
    if (!fd.valid()) return fail_errno(errno, "create the base of " + outer0.name());
    MS_CHECK(pin(fd.get(), pinned));
    MS_TRY(Map map, Map::from_fd(std::move(fd), pinned));
    return std::optional<Map>(std::move(map));
  }

  Status read_base() {
    MS_TRY(Map copy, Map::open(base_->name()));
    const auto table = make_map_table(std::move(copy));
    MS_TRY(const auto keys, table->keys());
    for (const Bytes& key : keys) {
      MS_TRY(const auto value, table->read(key));
      if (value && value->size() == sizeof(Ids)) take_ids(*value, known_[key]);
    }
    return {};
  }

  static uint32_t find(const Slots& slots, const Bytes& key) {
    const auto found = slots.find(key);
    return found == slots.end() ? 0 : found->second;
  }

  // A slot whose map goes while it is read is as good as empty: what took its place comes with the next pass.
  static Result<Slots> read_slots(const Map& outer) {
    Slots slots;
    const auto take = [&](const Bytes& key) -> Status {
      uint32_t id = 0;  // a lookup from user space gives the inner map's id
      if (bpf_map_lookup_elem(outer.fd(), key.data(), &id) == 0) slots[key] = id;
      else if (errno != ENOENT) return fail_errno(errno, "read a slot of " + outer.name());
      return {};
    };
    if (outer.shape().type == MapType::kArrayOfMaps) {
      for (uint32_t i = 0; i < outer.shape().max_entries; ++i) {
        Bytes key(sizeof i);
        std::memcpy(key.data(), &i, sizeof i);
        MS_CHECK(take(key));
      }
      return slots;
    }
    MS_TRY(Map copy, Map::from_fd(Fd(::dup(outer.fd())), outer.name()));
    const auto table = make_map_table(std::move(copy));
    MS_TRY(const auto keys, table->keys());
    for (const Bytes& key : keys) MS_CHECK(take(key));
    return slots;
  }

  Status follow(const Slots& slots0, const Slots& slots1) {
    Steps all = known_;
    for (const auto& [key, id] : slots0) all.try_emplace(key);
    for (const auto& [key, id] : slots1) all.try_emplace(key);
    for (const auto& [key, before] : all) {
      const Status done = follow_slot(key, before, {find(slots0, key), find(slots1, key)});
      if (!done && done.error().code == ErrorCode::kNotFound) ++report_.pending;  // gone meanwhile
      else MS_CHECK(done);
    }
    MS_CHECK(put_all(false));
    return put_all(true);
  }

  Status follow_slot(const Bytes& key, Ids before, Ids now) {
    if (now == before) return {};
    if (now == Ids{} || pairs_->contains(now)) return remember(key, now);
    const bool changed0 = now.first != before.first, changed1 = now.second != before.second;
    if (phase_ == SyncPhase::kPrecopy) {
      // What the new object puts into slots that the old one never had.
      if (now.first == 0 && before == Ids{} && pairs_->only_declared_on1(now.second)) return remember(key, now);
      return carry(key, now, true);
    }
    const bool active1 = phase_ == SyncPhase::kLiveNew;
    report_.conflicts += changed0 && changed1;
    return carry(key, now, changed0 && changed1 ? !active1 : changed0);
  }

  // What one side has in the slot goes to the other, with all others at once.
  Status carry(const Bytes& key, Ids now, bool to1) {
    const uint32_t from = to1 ? now.first : now.second, was = to1 ? now.second : now.first;
    const Map& outer = to1 ? outer1_ : outer0_;
    uint32_t next = 0;
    if (from != 0) {
      MS_TRY(next, pairs_->counterpart(from, to1));
    }
    const Ids after = to1 ? Ids{from, next} : Ids{next, from};
    if (next == 0) {
      if (bpf_map_delete_elem(outer.fd(), key.data()) != 0 && errno != ENOENT) return fail_errno(errno, "empty a slot of " + outer.name());
      report_.deleted += was != 0;
    } else if (next != was) {
      MS_TRY(Map inner, pairs_->open_side(after, to1));
      (to1 ? puts1_ : puts0_).push_back({key, after, std::move(inner), was == 0});
      return {};
    }
    report_.from_passive += (phase_ == SyncPhase::kLiveOld) != to1;
    return remember(key, after);
  }

  // Each update of a map of maps waits for the programs that run (10 ms here); a batch waits once.
  Status put_all(bool on1) {
    std::vector<Put> puts = std::exchange(on1 ? puts1_ : puts0_, {});
    const Map& outer = on1 ? outer1_ : outer0_;
    Bytes keys;
    std::vector<int> fds;
    for (const Put& put : puts) {
      keys.insert(keys.end(), put.key.begin(), put.key.end());
      fds.push_back(put.inner.fd());
    }
    auto count = static_cast<uint32_t>(puts.size());
    const bool batched = count > 1 && bpf_map_update_batch(outer.fd(), keys.data(), fds.data(), &count, nullptr) == 0;
    for (const Put& put : puts) {
      if (!batched) {  // once more, one by one: to know which one the kernel refuses
        const int fd = put.inner.fd();
        if (bpf_map_update_elem(outer.fd(), put.key.data(), &fd, BPF_ANY) != 0) {
          if (errno != E2BIG) return fail_errno(errno, "fill a slot of " + outer.name());
          ++(on1 ? report_.full1 : report_.full0);
          continue;
        }
      }
      ++(put.empty ? report_.added : report_.changed);
      report_.from_passive += (phase_ == SyncPhase::kLiveOld) != on1;
      MS_CHECK(remember(put.key, put.ids));
    }
    return {};
  }

  Status remember(const Bytes& key, Ids ids) {
    if (ids == Ids{}) {
      if (bpf_map_delete_elem(base_->fd(), key.data()) != 0 && errno != ENOENT) return fail_errno(errno, "write to " + base_->name());
      known_.erase(key);
      return {};
    }
    if (bpf_map_update_elem(base_->fd(), key.data(), &ids, BPF_ANY) != 0) return fail_errno(errno, "write to " + base_->name());
    known_[key] = ids;
    return {};
  }

  Status forget_unused() {
    std::set<uint32_t> used0, used1;
    for (const auto& [key, ids] : known_) {
      used0.insert(ids.first);
      used1.insert(ids.second);
    }
    return pairs_->keep_only(used0, used1);
  }

  struct Put {
    Bytes key;
    Ids ids;
    Map inner;
    bool empty = false;  // the slot was
  };

  const Map outer0_, outer1_;
  std::optional<Map> base_;
  Steps known_;  // as base_ has it
  std::unique_ptr<InnerPairs> pairs_;
  SyncPhase phase_ = SyncPhase::kPrecopy;
  PassReport report_;
  std::vector<Put> puts0_, puts1_;  // to be put into each side's slots in this pass
  std::mutex mutex_;  // between a hot pass beside the swap and who enters a phase
};

}  // namespace

Result<std::unique_ptr<Sync>> open_refill(const SyncSpec& spec, const std::string& map0, const std::string& map1, const std::string& sync_dir) {
  return RefillSync::open(spec, map0, map1, sync_dir);
}

}  // namespace mapshift
