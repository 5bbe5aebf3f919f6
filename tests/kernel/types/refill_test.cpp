// SPDX-License-Identifier: Apache-2.0
// The synchronisation of maps of maps alone, without a module: hundreds of tables that only user space fills.
#include <numeric>
#include <set>

#include "kernel/inner_form.h"
#include "kernel/pin.h"
#include "module.h"

namespace mapshift::test {
namespace {

struct Old {
  uint32_t weight, port;
};
struct New {
  uint64_t port;
  uint32_t weight, flags;
};

constexpr uint32_t kTables = 300;

class Refill : public ModuleTest {
 protected:
  void SetUp() override {
    ModuleTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    outer0_ = make_generation(1, sizeof(Old));
    outer1_ = make_generation(2, sizeof(New));
    spec_.type0 = spec_.type1 = MapType::kHashOfMaps;
    spec_.key_size = spec_.value_size0 = spec_.value_size1 = 4;
    spec_.max_entries0 = spec_.max_entries1 = 1024;
    SyncSpec inner;
    inner.key_size = 4;
    inner.value_size0 = sizeof(Old);
    inner.value_size1 = sizeof(New);
    inner.max_entries0 = inner.max_entries1 = 16;
    inner.by_calls = true;
    SyncField weight, port;
    weight.size0 = weight.size1 = 4;
    weight.offset1 = 8;
    port.size0 = 4;
    port.offset0 = 4;
    port.group = 1;
    inner.fields = {weight, port};
    spec_.inner = std::make_shared<const SyncSpec>(inner);
    reopen();
  }

  // A map of maps as a load leaves it: pinned, with the form of its inner maps beside it.
  Fd make_generation(uint64_t generation, uint32_t value_size) {
    const Fd form = make_inner(value_size);
    LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<uint32_t>(form.get()));
    Fd outer(bpf_map_create(BPF_MAP_TYPE_HASH_OF_MAPS, "tables", 4, 4, 1024, &options));
    EXPECT_TRUE(outer.valid());
    EXPECT_TRUE(mapshift::pin(outer.get(), pin(generation, "tables")));
    EXPECT_TRUE(mapshift::pin(form.get(), template_pin(pin(generation, "tables"))));
    return outer;
  }
  static Fd make_inner(uint32_t value_size) { return Fd(bpf_map_create(BPF_MAP_TYPE_HASH, "inner", 4, value_size, 16, nullptr)); }
  void reopen() {
    sync_.reset();
    auto opened = kernel_->open_sync(spec_, pin(1, "tables"), pin(2, "tables"), paths_->sync("tables"));
    ASSERT_TRUE(opened) << opened.error().message;
    sync_ = *std::move(opened);
  }
  PassReport pass(SyncPhase phase) {
    auto report = sync_->pass(phase, true);
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(PassReport());
  }
  static void put_table(const Fd& outer, uint32_t key, const Fd& inner) {
    const int fd = inner.get();
    ASSERT_EQ(bpf_map_update_elem(outer.get(), &key, &fd, BPF_ANY), 0);
  }
  static Fd table(const Fd& outer, uint32_t key) {
    const auto id = value_of<uint32_t>(outer, &key);
    return Fd(id ? bpf_map_get_fd_by_id(*id) : -1);
  }
  template <class T>
  static void put(const Fd& map, uint32_t key, const T& value) { ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &value, BPF_ANY), 0); }
  static std::vector<uint32_t> numbers(uint32_t count) {
    std::vector<uint32_t> all(count);
    std::iota(all.begin(), all.end(), 0u);
    return all;
  }

  Fd outer0_, outer1_;
  SyncSpec spec_;
  std::unique_ptr<Sync> sync_;
};

TEST_F(Refill, HundredsOfTables) {
  std::vector<Fd> held;
  std::vector<uint32_t> keys = numbers(kTables);
  std::vector<int> fds;
  for (uint32_t n = 0; n < kTables; ++n) {
    held.push_back(make_inner(sizeof(Old)));
    put(held.back(), 1, Old{n, 80});
    fds.push_back(held.back().get());
  }
  uint32_t count = kTables;
  ASSERT_EQ(bpf_map_update_batch(outer0_.get(), keys.data(), fds.data(), &count, nullptr), 0);
  held.clear();
  const PassReport first = pass(SyncPhase::kPrecopy);
  EXPECT_GE(first.added, kTables);
  const uint32_t one = 1;
  for (uint32_t n = 0; n < kTables; n += 37) {
    const auto moved = value_of<New>(table(outer1_, n), &one);
    ASSERT_TRUE(moved) << n;
    EXPECT_EQ(moved->weight, n);
    EXPECT_EQ(moved->port, 80u);
  }
  reopen();  // as the next agent does
  put(table(outer0_, 5), 2, Old{55, 443});
  EXPECT_EQ(pass(SyncPhase::kLiveNew).from_passive, 1u);
  EXPECT_EQ(pass(SyncPhase::kLiveNew).from_passive, 0u);
  EXPECT_EQ(sync_->verify()->mismatched, 0u);
}

// A table that user space replaces whole, in one swap of its slot, as load balancers do.
TEST_F(Refill, TablesAreReplacedWhole) {
  put_table(outer0_, 7, make_inner(sizeof(Old)));
  put(table(outer0_, 7), 1, Old{1, 1});
  pass(SyncPhase::kPrecopy);
  pass(SyncPhase::kLiveNew);
  const Fd fresh = make_inner(sizeof(New));
  put(fresh, 2, New{2, 22, 3});
  put_table(outer1_, 7, fresh);
  EXPECT_EQ(pass(SyncPhase::kLiveNew).from_passive, 0u);
  const uint32_t one = 1, two = 2;
  EXPECT_FALSE(value_of<Old>(table(outer0_, 7), &one));
  EXPECT_EQ(value_of<Old>(table(outer0_, 7), &two)->weight, 22u);
  // On both sides at once: the active one wins, and it is counted.
  put_table(outer0_, 7, make_inner(sizeof(Old)));
  const Fd again = make_inner(sizeof(New));
  put(again, 3, New{3, 33, 0});
  put_table(outer1_, 7, again);
  EXPECT_EQ(pass(SyncPhase::kLiveNew).conflicts, 1u);
  const uint32_t three = 3;
  EXPECT_EQ(value_of<Old>(table(outer0_, 7), &three)->weight, 33u);
  // What nobody refers to any more is let go of: no more pins than those of one pair.
  for (int n = 0; n < 3; ++n) pass(SyncPhase::kLiveNew);
  const auto left = kernel_->list(paths_->sync("tables"));
  ASSERT_TRUE(left);
  EXPECT_EQ(left->size(), 2u) << "base and one pair";
}

// A map that the object declares and puts into the map of maps, under another name in the new generation.
TEST_F(Refill, ADeclaredTableIsPairedWithItsFormerSelf) {
  const Fd blue = make_inner(sizeof(Old)), green = make_inner(sizeof(New));
  ASSERT_TRUE(mapshift::pin(blue.get(), pin(1, "blue")));
  ASSERT_TRUE(mapshift::pin(green.get(), pin(2, "green")));
  put_table(outer0_, 7, blue);
  put_table(outer1_, 7, green);
  const uint32_t key = 7, id = value_of<uint32_t>(outer1_, &key).value_or(0);
  spec_.renamed = {{"green", "blue"}};
  reopen();
  pass(SyncPhase::kPrecopy);
  EXPECT_EQ(value_of<uint32_t>(outer1_, &key), id) << "planned on its own: nothing takes its place";
  for (const SyncPhase phase : {SyncPhase::kLiveNew, SyncPhase::kLiveOld}) EXPECT_EQ(pass(phase).from_passive, 0u);
}

// An agent died while it made a pair: what it left is no pair.
TEST_F(Refill, AHalfMadePairIsRemoved) {
  put_table(outer0_, 1, make_inner(sizeof(Old)));
  sync_.reset();
  const Fd stray = make_inner(sizeof(Old));
  ASSERT_TRUE(mapshift::pin(stray.get(), paths_->sync("tables") + "/4000000000_4000000001/old"));
  reopen();
  pass(SyncPhase::kPrecopy);
  EXPECT_TRUE(table(outer1_, 1).valid());
  EXPECT_FALSE(pin_exists(paths_->sync("tables") + "/4000000000_4000000001"));
}

}  // namespace
}  // namespace mapshift::test
