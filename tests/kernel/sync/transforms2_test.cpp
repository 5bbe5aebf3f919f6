// SPDX-License-Identifier: Apache-2.0
// A new map that functions of the module's author build of two old ones.
#include "sync_locks.skel.h"
#include "writers.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

// Between two maps of which the old one has a second one beside it: the old side of a lab of its own.
class TwoMaps : public SyncTest {
 protected:
  SyncSpec spec_of(const std::string& up, const std::string& down, MapType type = MapType::kHash) {
    second_ = std::make_unique<Lab>(bpffs_, example_spec(type, 256, 256));
    SyncSpec spec = example_spec(type, 256, 256);
    for (SyncField& f : spec.fields) {
      f.offset0 = f.offset1;
      f.size0 = f.size1;
    }
    spec.fields.push_back(field(SyncOp::kLatest, 4, offsetof(NewValue, flags), 4, offsetof(NewValue, flags)));
    spec.fields.back().group = 1;
    spec.transform = SyncTransform{SYNC_TRANSFORMS2, up, down, SyncSecond{"names", "", type, 4, sizeof(OldValue), -1, "", second_->dir() + "/side0"}};
    return spec;
  }
  Lab& second() { return *second_; }
  // Why such a sync is refused.
  Error refusal(const SyncSpec& spec) {
    Lab lab(bpffs_, example_spec(MapType::kHash, 256, 256));
    unlink((lab.dir() + "/base").c_str());
    auto opened = open_linux_sync(spec, lab.dir() + "/side0", lab.dir() + "/side1", lab.dir());
    return opened ? Error{} : opened.error();
  }

 private:
  std::unique_ptr<Lab> second_;
};

TEST_F(TwoMaps, AChangeOfEitherReachesTheNewMap) {
  for (const bool in_slices : {false, true}) {
    SyncSpec spec = spec_of("up_both", "down_both");
    spec.in_slices = in_slices;
    Lab lab(bpffs_, spec);
    lab.put0(1, OldValue{.packets = 10, .last = 5, .state = 2, .n32 = 7});
    lab.put0(2, OldValue{.packets = 20, .last = 5, .state = 2, .n32 = 7});
    second().put0(1, OldValue{.packets = 100, .last = 0, .state = 44, .n32 = 0});
    second().put0(3, OldValue{.packets = 1, .last = 0, .state = 1, .n32 = 0});  // of a key that the first one has not
    EXPECT_GT(lab.settle(kPre), 0);
    ASSERT_TRUE(lab.get1<NewValue>(1) && lab.get1<NewValue>(2));
    EXPECT_FALSE(lab.get1<NewValue>(3));
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 110u);
    EXPECT_EQ(lab.get1<NewValue>(1)->flags, 44u);
    EXPECT_EQ(lab.get1<NewValue>(1)->n64, 7u);
    EXPECT_EQ(lab.get1<NewValue>(2)->packets, 20u);
    EXPECT_EQ(lab.get1<NewValue>(2)->flags, 0u);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);

    second().put0(1, OldValue{.packets = 101, .last = 0, .state = 45, .n32 = 0});  // the second one alone
    second().put0(2, OldValue{.packets = 200, .last = 0, .state = 46, .n32 = 0});  // and one that was not there
    EXPECT_GT(lab.settle(kPre), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 111u);
    EXPECT_EQ(lab.get1<NewValue>(1)->flags, 45u);
    EXPECT_EQ(lab.get1<NewValue>(2)->packets, 220u);
    EXPECT_EQ(lab.get1<NewValue>(2)->flags, 46u);

    second().put0(1, OldValue{.packets = 103, .last = 0, .state = 47, .n32 = 0});  // late, beside a program of the new generation
    NewValue more = *lab.get1<NewValue>(1);
    more.packets += 1000;
    more.state = 3;
    lab.put1(1, more);
    EXPECT_GT(lab.settle(kNew), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 1113u);
    EXPECT_EQ(lab.get1<NewValue>(1)->flags, 47u);
    EXPECT_EQ(lab.get0<OldValue>(1)->packets, 1010u);
    EXPECT_EQ(lab.get0<OldValue>(1)->state, 3u);
    EXPECT_EQ(second().get0<OldValue>(1)->packets, 103u) << "it is only read";
    EXPECT_EQ(lab.pass(kNew).changed, 0u);

    lab.reopen();
    EXPECT_EQ(lab.pass(kOld).changed, 0u);
    second().put0(1, OldValue{.packets = 104, .last = 0, .state = 48, .n32 = 0});
    EXPECT_GT(lab.settle(kOld), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->packets, 1114u);
    EXPECT_EQ(lab.get1<NewValue>(1)->flags, 48u);
    EXPECT_EQ(lab.get0<OldValue>(1)->packets, 1010u);
  }
}

TEST_F(TwoMaps, DeletionsOfEither) {
  Lab lab(bpffs_, spec_of("up_both", "down_both"));
  for (uint32_t key : {1u, 2u, 3u}) {
    lab.put0(key, OldValue{.packets = 10, .last = 0, .state = 0, .n32 = 0});
    second().put0(key, OldValue{.packets = 100, .last = 0, .state = 9, .n32 = 0});
  }
  EXPECT_GT(lab.settle(kPre), 0);
  second().erase0(1);
  lab.erase0(2);
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 10u);
  EXPECT_EQ(lab.get1<NewValue>(1)->flags, 0u);
  EXPECT_FALSE(lab.get1<NewValue>(2));

  second().put0(1, OldValue{.packets = 7, .last = 0, .state = 8, .n32 = 0});  // it comes back, late
  second().erase0(3);
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 17u);
  EXPECT_EQ(lab.get1<NewValue>(1)->flags, 8u);
  EXPECT_EQ(lab.get1<NewValue>(3)->packets, 10u);
  lab.erase1(1);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_FALSE(lab.get0<OldValue>(1));
  EXPECT_TRUE(second().get0<OldValue>(1)) << "it is only read";
}

TEST_F(TwoMaps, AKeyThatTheNewGenerationMakesMeetsTheSecondMap) {
  Lab lab(bpffs_, spec_of("up_both", "down_both"));
  second().put0(5, OldValue{.packets = 100, .last = 0, .state = 9, .n32 = 0});
  lab.settle(kPre);
  lab.put1(5, NewValue{.state = 1, .flags = 0, .last = 0, .packets = 3, .n64 = 4});
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  ASSERT_TRUE(lab.get0<OldValue>(5));
  EXPECT_EQ(lab.get0<OldValue>(5)->packets, 3u);
  EXPECT_EQ(lab.get1<NewValue>(5)->packets, 103u);
  EXPECT_EQ(lab.get1<NewValue>(5)->flags, 9u);
  second().put0(5, OldValue{.packets = 101, .last = 0, .state = 9, .n32 = 0});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(5)->packets, 104u);
  EXPECT_EQ(lab.get0<OldValue>(5)->packets, 3u);
}

TEST_F(TwoMaps, AFunctionSaysWhichKeyOfTheSecondMap) {
  SyncSpec spec = spec_of("up_both", "down_both");
  spec.transform->second->key = "by_state";
  Lab lab(bpffs_, spec);
  for (uint32_t state : {2u, 3u}) second().put0(state, OldValue{.packets = 0, .last = 0, .state = state * 11, .n32 = 0});
  for (uint32_t key : {10u, 11u, 12u}) lab.put0(key, OldValue{.packets = 1, .last = 0, .state = key == 12 ? 3u : 2u, .n32 = 0});
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(10)->flags, 22u);
  EXPECT_EQ(lab.get1<NewValue>(11)->flags, 22u);
  EXPECT_EQ(lab.get1<NewValue>(12)->flags, 33u);
  second().put0(2, OldValue{.packets = 0, .last = 0, .state = 77, .n32 = 0});  // one change, two keys
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_EQ(lab.get1<NewValue>(10)->flags, 77u);
  EXPECT_EQ(lab.get1<NewValue>(11)->flags, 77u);

  NewValue other = *lab.get1<NewValue>(10);  // the new generation points elsewhere, and says itself what is there
  other.state = 3;
  other.flags = 99;
  lab.put1(10, other);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_EQ(lab.get0<OldValue>(10)->state, 3u);
  EXPECT_EQ(lab.get1<NewValue>(10)->flags, 99u) << "what the second map has there is no change of it";
  second().put0(3, OldValue{.packets = 0, .last = 0, .state = 34, .n32 = 0});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(10)->flags, 34u);
  EXPECT_EQ(lab.get1<NewValue>(12)->flags, 34u);
}

// Keys that the new generation makes before the old one are among them.
class TwoMapsWritten : public TwoMaps, public testing::WithParamInterface<MapType> {
 protected:
  // Then both writers rest.
  static void six_swaps(Lab& lab, Writers& writers, Writers& beside) {
    for (int n = 0; n < 3; ++n) lab.pass(kPre);
    for (uint32_t swap = 1; swap <= 6; ++swap) {
      const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
      lab.sync().enter(phase);
      writers.swap_to(swap % 2);
      lab.pass(phase);
      writers.quiesce();
      for (int n = 0; n < 10; ++n) lab.pass(phase);
    }
    writers.stop();
    beside.stop();
    EXPECT_GT(lab.settle(kOld), 0);
    lab.pass(kOld);
  }
};

// Programs count in both old maps, and in the new one, on all CPUs while one is built of the other two.
TEST_P(TwoMapsWritten, SixSwapsLoseNothing) {
  Lab lab(bpffs_, spec_of("up_both", "down_both", GetParam()));
  Writers writers(lab, 63), beside(second(), 63);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    writers.start(cpu, {.mask = 63});
    beside.start(cpu, {.mask = 63});
  }
  six_swaps(lab, writers, beside);
  uint64_t packets0 = 0, packets1 = 0, packets2 = 0, n0 = 0, n1 = 0;
  for (uint32_t key = 0; key < 64; ++key) {
    if (const auto v = lab.get0<OldValue>(key)) packets0 += v->packets, n0 += v->n32;
    if (const auto v = lab.get1<NewValue>(key)) packets1 += v->packets, n1 += v->n64;
    if (const auto v = second().get0<OldValue>(key)) packets2 += v->packets;
  }
  printf("increments %lu and %lu\n", writers.total(), beside.total());
  EXPECT_GT(beside.total(), 0u);
  EXPECT_EQ(packets0, writers.total());
  EXPECT_EQ(packets2, beside.total());
  EXPECT_EQ(packets1, writers.total() + beside.total());
  EXPECT_EQ(n0, writers.total());
  EXPECT_EQ(n1, writers.total());
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}
INSTANTIATE_TEST_SUITE_P(Types, TwoMapsWritten, testing::Values(MapType::kHash, MapType::kArray, MapType::kLruHash),
                         [](const auto& type) { return to_string(type.param); });

// Programs of the new generation count what two old maps counted, and it goes back to both.
TEST_P(TwoMapsWritten, BothGetWhatTheNewOneCounts) {
  SyncSpec spec = spec_of("up_apart", "down_apart", GetParam());
  spec.transform->second->down = "down_beside";
  Lab lab(bpffs_, spec);
  Writers writers(lab, 63), beside(second(), 63);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) {
    writers.start(cpu, {.mask = 63});
    beside.start(cpu, {.mask = 63, .only = 1});
  }
  six_swaps(lab, writers, beside);
  uint64_t packets0 = 0, packets1 = 0, beside1 = 0, beside2 = 0, in_old = 0;  // n32 is counted by the old generation alone
  for (uint32_t key = 0; key < 64; ++key) {
    if (const auto v = lab.get0<OldValue>(key)) packets0 += v->packets, in_old += v->n32;
    if (const auto v = lab.get1<NewValue>(key)) packets1 += v->packets, beside1 += v->n64;
    if (const auto v = second().get0<OldValue>(key)) beside2 += v->packets;
  }
  printf("increments %lu and %lu, %lu in the new map\n", writers.total(), beside.total(), writers.total() - in_old);
  EXPECT_EQ(packets0, writers.total());
  EXPECT_EQ(packets1, writers.total());
  EXPECT_EQ(beside1, beside2);
  EXPECT_EQ(beside2, beside.total() + writers.total() - in_old);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_F(TwoMaps, AWayBackForTheSecondMap) {
  SyncSpec spec = spec_of("up_apart", "down_apart");
  spec.transform->second->down = "down_beside";
  Lab lab(bpffs_, spec);
  for (uint32_t key : {1u, 2u}) lab.put0(key, OldValue{.packets = 10, .last = 0, .state = 1, .n32 = 5});
  second().put0(1, OldValue{.packets = 100, .last = 77, .state = 9, .n32 = 66});
  EXPECT_GT(lab.settle(kPre), 0);
  const auto count = [&lab](uint32_t key, uint64_t packets, uint64_t n64, uint32_t flags) {
    NewValue v = *lab.get1<NewValue>(key);
    v.packets += packets;
    v.n64 += n64;
    v.flags = flags;
    lab.put1(key, v);
  };
  count(1, 1, 2, 30);
  count(2, 1, 0, 0);  // nothing of the second map's
  lab.put1(3, NewValue{.state = 4, .flags = 31, .last = 0, .packets = 6, .n64 = 7});
  second().put0(1, OldValue{.packets = 103, .last = 77, .state = 9, .n32 = 66});  // late
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_EQ(lab.get1<NewValue>(1)->n64, 105u);
  EXPECT_EQ(lab.get0<OldValue>(1)->packets, 11u);
  const auto beside = second().get0<OldValue>(1);
  EXPECT_EQ(beside->packets, 105u);
  EXPECT_EQ(beside->state, 30u);
  EXPECT_EQ(beside->last, 77u) << "what the function leaves alone";
  EXPECT_EQ(lab.get0<OldValue>(2)->packets, 11u);
  EXPECT_FALSE(second().get0<OldValue>(2)) << "an entry of nothing is not made";
  ASSERT_TRUE(lab.get0<OldValue>(3) && second().get0<OldValue>(3));
  EXPECT_EQ(lab.get0<OldValue>(3)->packets, 6u);
  EXPECT_EQ(second().get0<OldValue>(3)->packets, 7u);
  EXPECT_EQ(second().get0<OldValue>(3)->state, 31u);
  count(2, 0, 8, 32);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  ASSERT_TRUE(second().get0<OldValue>(2));
  EXPECT_EQ(second().get0<OldValue>(2)->packets, 8u);
  EXPECT_EQ(lab.pass(kNew).changed, 0u);
  lab.erase1(3);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_FALSE(lab.get0<OldValue>(3));
  EXPECT_FALSE(second().get0<OldValue>(3));
  EXPECT_GT(lab.settle(kOld), 0);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_F(TwoMaps, ValuesOfTheSecondOneMayHoldALock) {
  struct Locked {
    uint32_t lock = 0, n32 = 0;
    uint64_t packets = 0, pair = 0, pair_check = 0;
    uint32_t spare = 0, end = 0;
  };
  const std::unique_ptr<sync_locks_bpf, decltype(&sync_locks_bpf::destroy)> locks(sync_locks_bpf::open_and_load(), &sync_locks_bpf::destroy);
  ASSERT_NE(locks, nullptr);
  SyncSpec spec = spec_of("up_locked", "down_locked");
  spec.transform->second->down = "down_beside_locked";
  spec.transform->second->value_size = sizeof(Locked);
  spec.transform->second->lock = 0;
  spec.transform->second->pin = second().dir() + "/locked";
  ASSERT_EQ(bpf_obj_pin(bpf_map__fd(locks->maps.locked0), spec.transform->second->pin.c_str()), 0);
  {
    Lab lab(bpffs_, spec);
    const int fd = bpf_map__fd(locks->maps.locked0);
    uint32_t key = 1;
    Locked value{.n32 = 3, .packets = 100, .pair = 55};
    bpf_map_update_elem(fd, &key, &value, BPF_ANY);
    lab.put0(1, OldValue{.packets = 10, .last = 0, .state = 0, .n32 = 0});
    lab.put0(2, OldValue{.packets = 20, .last = 0, .state = 0, .n32 = 0});
    EXPECT_GT(lab.settle(kPre), 0);
    EXPECT_EQ(lab.get1<NewValue>(1)->n64, 100u);
    EXPECT_EQ(lab.get1<NewValue>(1)->flags, 3u);
    for (uint32_t k : {1u, 2u}) {
      NewValue more = *lab.get1<NewValue>(k);
      more.n64 += 5;
      lab.put1(k, more);
    }
    EXPECT_GT(lab.settle(kNew), 0);
    lab.pass(kNew);
    for (const auto& [k, packets] : {std::pair{1u, 105u}, {2u, 5u}}) {
      key = k;
      ASSERT_EQ(bpf_map_lookup_elem(fd, &key, &value), 0);
      EXPECT_EQ(value.packets, packets);
      EXPECT_EQ(value.pair, k == 1 ? 55u : 0u);
    }
    EXPECT_EQ(lab.pass(kNew).changed, 0u);
  }
  unlink(spec.transform->second->pin.c_str());
}

TEST_F(TwoMaps, OneFunctionMayBeItsOwnInverse) {
  for (const bool both : {false, true}) {
    SyncSpec spec = spec_of(both ? "turned_beside" : "turned", both ? "turned_beside" : "turned");
    if (!both) spec.transform->second.reset();
    spec.value_size1 = sizeof(OldValue);
    spec.fields = {field(SyncOp::kSum, 8, 0, 8, 0), field(SyncOp::kLatest, 4, 16, 4, 16)};
    Lab lab(bpffs_, spec);
    second().put0(1, OldValue{.packets = both ? 100u : 0u, .last = 0, .state = 0, .n32 = 0});
    lab.put0(1, OldValue{.packets = 10, .last = 0, .state = 1, .n32 = 0});
    EXPECT_GT(lab.settle(kPre), 0);
    EXPECT_EQ(lab.get1<OldValue>(1)->packets, both ? 90 : uint64_t(-10));
    OldValue next = *lab.get1<OldValue>(1);
    next.packets -= 5;
    lab.put1(1, next);
    EXPECT_GT(lab.settle(kNew), 0);
    lab.pass(kNew);
    EXPECT_EQ(lab.get0<OldValue>(1)->packets, 15u);
  }
}

TEST_F(TwoMaps, WhatTheVerifierSaysOfBadOnes) {
  const auto words_of = [this](const char* up) {
    const Error error = refusal(spec_of(up, ""));
    EXPECT_EQ(error.code, ErrorCode::kInvalid) << error.message;
    EXPECT_NE(error.message.find(up), std::string::npos) << error.message;
    return error.context;
  };
  EXPECT_NE(words_of("up_unasked").find("invalid mem access"), std::string::npos) << words_of("up_unasked");
  EXPECT_NE(words_of("up_behind").find("invalid access to map value"), std::string::npos) << words_of("up_behind");
  const std::string endless = words_of("up_for_ever");
  EXPECT_TRUE(endless.find("infinite loop") != std::string::npos || endless.find("too large") != std::string::npos ||
              endless.find("too complex") != std::string::npos) << endless;
}

TEST_F(TwoMaps, ASecondMapThatIsNotThereOrNotWhatThePlanSays) {
  SyncSpec spec = spec_of("up_both", "down_both");
  spec.transform->second->pin = second().dir() + "/names-gone";
  EXPECT_NE(refusal(spec).message.find("names-gone"), std::string::npos) << refusal(spec).message;
  spec = spec_of("up_both", "down_both");
  spec.transform->second->value_size = 32;
  EXPECT_NE(refusal(spec).message.find("plan the update again"), std::string::npos) << refusal(spec).message;
  spec = spec_of("up_both", "down_both");
  spec.transform->second->type = MapType::kPercpuHash;
  EXPECT_EQ(refusal(spec).code, ErrorCode::kUnsupported);
  spec = spec_of("up_both", "down_both");
  spec.transform->second->key_size = 8;
  EXPECT_NE(refusal(spec).message.find("a function must say which"), std::string::npos) << refusal(spec).message;
  spec = spec_of("turned", "");  // of one map only
  EXPECT_NE(refusal(spec).message.find("cannot be linked"), std::string::npos) << refusal(spec).message;
}

}  // namespace
}  // namespace mapshift::test
