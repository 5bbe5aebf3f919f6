// SPDX-License-Identifier: Apache-2.0
// Values that functions of the module's author convert.
#include "writers.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

struct FlowV1 {
  uint64_t in = 0, out = 0, last_ns = 0;
  uint32_t state = 0, kept = 0;
};
struct FlowV2 {
  uint64_t packets = 0, last_ms = 0, bytes = 0;
  uint32_t state = 0, weight = 0;
};

SyncSpec flow_spec(const std::string& up, const std::string& down) {
  SyncSpec spec;
  spec.key_size = 4;
  spec.value_size0 = sizeof(FlowV1);
  spec.value_size1 = sizeof(FlowV2);
  spec.max_entries0 = spec.max_entries1 = 256;
  const auto same = [](SyncOp op, size_t size, size_t at) { return field(op, size, at, size, at); };
  spec.fields = {same(SyncOp::kSum, 8, offsetof(FlowV2, packets)), same(SyncOp::kMax, 8, offsetof(FlowV2, last_ms)),
                 same(SyncOp::kSum, 8, offsetof(FlowV2, bytes)), same(SyncOp::kLatest, 4, offsetof(FlowV2, state)),
                 same(SyncOp::kLatest, 4, offsetof(FlowV2, weight))};
  spec.defaults1 = {{offsetof(FlowV2, weight), 4, 5}};
  spec.transform = SyncTransform{SYNC_TRANSFORMS, up, down};
  return spec;
}

class Transforms : public SyncTest {
 protected:
  // Why such a sync is refused.
  Error refusal(const SyncSpec& spec) {
    SyncSpec plain = spec;
    plain.transform.reset();
    plain.fields.resize(1);
    plain.defaults1.clear();
    Lab lab(bpffs_, plain);
    unlink((lab.dir() + "/base").c_str());
    auto opened = open_linux_sync(spec, lab.dir() + "/side0", lab.dir() + "/side1", lab.dir());
    return opened ? Error{} : opened.error();
  }
};

TEST_F(Transforms, WhatTheyMakeIsMergedBothWays) {
  for (const bool in_slices : {false, true}) {
    SyncSpec spec = flow_spec("up_flow", "down_flow");
    spec.in_slices = in_slices;
    Lab lab(bpffs_, spec);
    lab.put0(1, FlowV1{.in = 10, .out = 5, .last_ns = 7'000'123, .state = 2, .kept = 77});
    EXPECT_GT(lab.settle(kPre), 0);
    ASSERT_TRUE(lab.get1<FlowV2>(1));
    EXPECT_EQ(lab.get1<FlowV2>(1)->packets, 15u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->last_ms, 7u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->state, 30u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->weight, 5u);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);

    lab.put0(1, FlowV1{.in = 10, .out = 8, .last_ns = 7'000'123, .state = 2, .kept = 77});  // 3 more, late
    lab.put1(1, FlowV2{.packets = 115, .last_ms = 9, .bytes = 1000, .state = 40, .weight = 6});
    lab.put1(2, FlowV2{.packets = 50, .last_ms = 1, .bytes = 2, .state = 20, .weight = 9});
    EXPECT_GT(lab.settle(kNew), 0);
    lab.pass(kNew);
    EXPECT_EQ(lab.get1<FlowV2>(1)->packets, 118u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->bytes, 1000u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->weight, 6u);
    const auto old = lab.get0<FlowV1>(1);
    EXPECT_EQ(old->in, 110u);
    EXPECT_EQ(old->out, 8u);
    EXPECT_EQ(old->last_ns, 9'000'000u);
    EXPECT_EQ(old->state, 3u);
    EXPECT_EQ(old->kept, 77u);
    ASSERT_TRUE(lab.get0<FlowV1>(2));
    EXPECT_EQ(lab.get0<FlowV1>(2)->in, 50u);
    EXPECT_EQ(lab.get0<FlowV1>(2)->state, 1u);
    EXPECT_EQ(lab.pass(kNew).changed, 0u);
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);

    lab.reopen();
    FlowV1 back = *lab.get0<FlowV1>(1);
    back.out += 2;
    lab.put0(1, back);
    EXPECT_GT(lab.settle(kOld), 0);
    EXPECT_EQ(lab.get1<FlowV2>(1)->packets, 120u);
    EXPECT_EQ(lab.get1<FlowV2>(1)->bytes, 1000u);
    EXPECT_EQ(lab.pass(kOld).changed, 0u);
    lab.erase1(2);  // on the passive side
    EXPECT_GT(lab.settle(kOld), 0);
    EXPECT_FALSE(lab.get0<FlowV1>(2));
  }
}

// Each CPU's value is converted, judged and compared by itself.
TEST_F(Transforms, ServeValuesOfEachCpu) {
  SyncSpec spec = flow_spec("up_flow", "down_flow");
  spec.type0 = spec.type1 = MapType::kPercpuHash;
  Lab lab(bpffs_, spec);
  std::vector<FlowV1> olds(cpu_count());
  for (size_t cpu = 0; cpu < olds.size(); ++cpu) olds[cpu] = {.in = 10 + cpu, .out = 5, .last_ns = 7'000'000, .state = 2};
  for (const uint32_t key : {1u, 2u}) lab.put_cpus0(key, olds);
  EXPECT_GT(lab.settle(kPre), 0);
  for (size_t cpu = 0; cpu < olds.size(); ++cpu) {
    const FlowV2 made = lab.get_cpus1<FlowV2>(1).at(cpu);
    EXPECT_EQ(made.packets, 15 + cpu) << cpu;
    EXPECT_EQ(made.weight, 5u) << cpu;
  }
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
  EXPECT_GT(lab.settle(kNew), 0);
  lab.erase0(2);  // on the passive side, and nobody changed it on the active one
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_TRUE(lab.get_cpus1<FlowV2>(2).empty());
  std::vector<FlowV2> news = lab.get_cpus1<FlowV2>(1);
  for (size_t cpu = 0; cpu < news.size(); ++cpu) news[cpu].packets += 100 + cpu;
  lab.put_cpus1(1, news);
  EXPECT_GT(lab.settle(kNew), 0);
  for (size_t cpu = 0; cpu < news.size(); ++cpu) EXPECT_EQ(lab.get_cpus0<FlowV1>(1).at(cpu).in, 110 + 2 * cpu) << cpu;
}

// Nothing can be taken out of an old value then, so what was drained would come back with what moved since.
TEST_F(Transforms, WithoutAWayBackNoDeltaIsKept) {
  SyncSpec spec = flow_spec("up_flow", "");
  spec.keep_delta = true;
  Lab lab(bpffs_, spec);
  lab.put0(1, FlowV1{.in = 10, .out = 5});
  EXPECT_GT(lab.settle(kPre), 0);
  lab.erase1(1);  // drained by user space
  lab.put0(1, FlowV1{.in = 12, .out = 5});
  EXPECT_GT(lab.settle(kNew), 0);
  lab.pass(kNew);
  EXPECT_FALSE(lab.get1<FlowV2>(1));
  EXPECT_FALSE(lab.get0<FlowV1>(1));
}

TEST_F(Transforms, ALateDeletionTakesOnlyTheOldCount) {
  Lab lab(bpffs_, flow_spec("up_flow", "down_flow"));
  lab.put0(1, FlowV1{.in = 10, .out = 5});
  lab.settle(kPre);
  lab.settle(kNew);
  lab.settle(kOld);
  lab.erase1(1);
  lab.put0(1, FlowV1{.in = 14, .out = 5});
  EXPECT_GT(lab.settle(kOld), 0);
  lab.pass(kOld);
  ASSERT_TRUE(lab.get1<FlowV2>(1));
  EXPECT_EQ(lab.get1<FlowV2>(1)->packets, 4u);
  EXPECT_EQ(lab.get0<FlowV1>(1)->in + lab.get0<FlowV1>(1)->out, 4u);
}

TEST_F(Transforms, WithoutAWayBackNothingGoesBack) {
  Lab lab(bpffs_, flow_spec("up_flow", ""));
  lab.put0(1, FlowV1{.in = 10, .out = 5});
  EXPECT_GT(lab.settle(kPre), 0);
  lab.put0(1, FlowV1{.in = 11, .out = 5});
  FlowV2 more = *lab.get1<FlowV2>(1);
  more.packets += 100;
  lab.put1(1, more);
  lab.put1(2, FlowV2{.packets = 7});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<FlowV2>(1)->packets, 116u);
  EXPECT_EQ(lab.get0<FlowV1>(1)->in, 11u);
  EXPECT_FALSE(lab.get0<FlowV1>(2));
  EXPECT_EQ(lab.pass(kNew).changed, 0u);
  EXPECT_GT(lab.settle(kOld), 0);
  EXPECT_EQ(lab.get0<FlowV1>(1)->in, 11u);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

class TransformWriters : public SyncTest, public testing::WithParamInterface<MapType> {};

// Programs of both generations count at full speed while their values are converted to and fro.
TEST_P(TransformWriters, SixSwapsLoseNothing) {
  SyncSpec spec = example_spec(GetParam(), 1024, 1024);
  for (SyncField& f : spec.fields) {
    f.offset0 = f.offset1;
    f.size0 = f.size1;
  }
  spec.transform = SyncTransform{SYNC_TRANSFORMS, "up_counts", "down_counts"};
  Lab lab(bpffs_, spec);
  Writers writers(lab, 63);
  for (size_t cpu = 0; cpu < cpu_count(); ++cpu) writers.start(cpu, {.mask = 63});
  for (int n = 0; n < 3; ++n) lab.pass(kPre);
  for (uint32_t swap = 1; swap <= 6; ++swap) {
    const SyncPhase phase = swap % 2 == 1 ? kNew : kOld;
    lab.sync().enter(phase);
    writers.swap_to(swap % 2);
    lab.pass(phase);
    writers.quiesce();
    EXPECT_GT(lab.settle(phase), 0) << "swap " << swap;
    for (int n = 0; n < 10; ++n) lab.pass(phase);
  }
  writers.stop();
  EXPECT_GT(lab.settle(kOld), 0);
  lab.pass(kOld);
  uint64_t packets0 = 0, packets1 = 0, n0 = 0, n1 = 0;
  for (uint32_t key = 0; key < 64; ++key) {
    if (const auto v = lab.get0<OldValue>(key)) packets0 += v->packets, n0 += v->n32;
    if (const auto v = lab.get1<NewValue>(key)) packets1 += v->packets, n1 += v->n64;
  }
  printf("increments %lu\n", writers.total());
  EXPECT_EQ(packets0, writers.total());
  EXPECT_EQ(packets1, writers.total());
  EXPECT_EQ(n0, writers.total());
  EXPECT_EQ(n1, writers.total());
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}
INSTANTIATE_TEST_SUITE_P(Types, TransformWriters, testing::Values(MapType::kHash, MapType::kArray, MapType::kLruHash),
                         [](const auto& type) { return to_string(type.param); });

TEST_F(Transforms, OneThatNeverEndsIsRefusedWithTheVerifiersWords) {
  const Error error = refusal(flow_spec("up_endless", ""));
  EXPECT_EQ(error.code, ErrorCode::kInvalid) << error.message;
  EXPECT_NE(error.message.find("up_endless"), std::string::npos) << error.message;
  EXPECT_TRUE(error.context.find("infinite loop") != std::string::npos || error.context.find("too large") != std::string::npos ||
              error.context.find("too complex") != std::string::npos) << error.context;
}

TEST_F(Transforms, OneThatWritesOutOfBoundsIsRefusedWithTheVerifiersWords) {
  const Error error = refusal(flow_spec("up_wild", ""));
  EXPECT_EQ(error.code, ErrorCode::kInvalid) << error.message;
  EXPECT_NE(error.context.find("invalid access to map value"), std::string::npos) << error.context;
}

TEST_F(Transforms, OneThatUsesAMapIsRefused) {
  const Error error = refusal(flow_spec("up_with_map", ""));
  EXPECT_EQ(error.code, ErrorCode::kInvalid) << error.message;
  EXPECT_NE(error.context.find("stats"), std::string::npos) << error.context;
}

TEST_F(Transforms, OneThatIsNotThereIsNamed) {
  Error error = refusal(flow_spec("up_flow", "sideways"));
  EXPECT_EQ(error.code, ErrorCode::kInvalid);
  EXPECT_NE(error.message.find("sideways"), std::string::npos) << error.message;
  SyncSpec spec = flow_spec("up_flow", "");
  spec.transform->object_path = "/nowhere.bpf.o";
  EXPECT_EQ(refusal(spec).code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace mapshift::test
