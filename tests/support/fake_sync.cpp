// SPDX-License-Identifier: Apache-2.0
#include "fake_kernel.h"

namespace mapshift {

// Holds the maps as a descriptor would: they outlive their pins.
class FakeKernel::FakeSync final : public Sync {
 public:
  FakeSync(FakeKernel& kernel, std::string dir, ThingRef base, ThingRef map0, ThingRef map1)
      : kernel_(kernel), dir_(std::move(dir)), base_(std::move(base)), map0_(std::move(map0)), map1_(std::move(map1)) {}

  [[nodiscard]] Result<PassReport> pass(SyncPhase phase, bool /*complete*/) override {
    return kernel_.step("pass " + dir_, [&](bool) { return kernel_.pass(*base_, *map0_, *map1_, phase, dir_); });
  }
  [[nodiscard]] Result<PassReport> pass_hot(SyncPhase phase) override {
    // What a sweep beside the swap moves would differ from run to run; and it would not let go of the lock.
    if (!kernel_.steps_.numbers_me()) {
      std::this_thread::yield();
      return PassReport{};
    }
    return kernel_.step("pass_hot " + dir_, [&](bool) { return kernel_.pass(*base_, *map0_, *map1_, phase, ""); });
  }
  [[nodiscard]] Result<VerifyReport> verify() override {
    return kernel_.step("verify " + dir_, [&](bool) -> Result<VerifyReport> {
      if (kernel_.mismatched.empty()) return VerifyReport{1, 0};
      const uint64_t found = kernel_.mismatched.front();
      kernel_.mismatched.erase(kernel_.mismatched.begin());
      return VerifyReport{1, found};
    });
  }

 private:
  FakeKernel& kernel_;
  const std::string dir_;
  const ThingRef base_, map0_, map1_;
};

// The three-way rule of a sum. The base moves with the maps: a real pass dies between two keys, never within one.
Result<PassReport> FakeKernel::pass(Thing& base, Thing& map0, Thing& map1, SyncPhase phase, const std::string& dir) {
  PassReport report;
  report.began = report.ended = monotonic_now();
  const uint64_t delta0 = map0.count - base.base0, delta1 = map1.count - base.base1;
  map1.count += delta0;
  map0.count += delta1;
  base.base0 = map0.count;
  base.base1 = map1.count;
  report.keys = 1;
  report.changed = (delta0 != 0 ? 1 : 0) + (delta1 != 0 ? 1 : 0);
  report.from_passive = (phase == SyncPhase::kLiveOld ? delta1 : delta0) != 0 ? 1 : 0;
  if (!dir.empty() && on_pass) on_pass(report, phase, dir);
  return report;
}

Result<std::unique_ptr<Sync>> FakeKernel::open_sync(const SyncSpec& /*spec*/, const std::string& map0, const std::string& map1,
                                                    const std::string& sync_dir) {
  return step("open_sync " + sync_dir, [&](bool) -> Result<std::unique_ptr<Sync>> {
    MS_TRY(const ThingRef side0, pinned(map0));
    MS_TRY(const ThingRef side1, pinned(map1));
    ThingRef& base = pins_[sync_dir + "/base"];
    if (!base) base = make('b');
    return std::make_unique<FakeSync>(*this, sync_dir, base, side0, side1);
  });
}

}  // namespace mapshift
