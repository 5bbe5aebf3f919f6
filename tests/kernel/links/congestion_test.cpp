// SPDX-License-Identifier: Apache-2.0
// A congestion control in BPF: connections that are open keep the functions that they began with until they close.
#include "links_lab.h"

namespace mapshift::test {
namespace {

constexpr const char* kName = "ms_steady";

class CongestionTest : public LinksTest {
 protected:
  void SetUp() override {
    LinksTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) describe("congestion", "");
  }
  // Why this kernel does not serve it; the plan of a load has to say the same.
  [[nodiscard]] std::string refused() {
    const Status served = kernel_->check_hook({.type = "struct_ops", .name = "tcp_congestion_ops"});
    if (served) return {};
    const auto refusals = load();
    EXPECT_THAT(refusals, ::testing::Contains(::testing::Field(&Problem::message, served.error().message)));
    return served.error().message;
  }
};

#define MS_SKIP_IF_REFUSED() \
  if (const std::string why = refused(); !why.empty()) GTEST_SKIP() << why

TEST_F(CongestionTest, WhatBothGenerationsCountIsCarriedOver) {
  MS_SKIP_IF_REFUSED();
  ASSERT_THAT(load(), ::testing::IsEmpty());
  Connection first = connect_tcp(kName), second = connect_tcp(kName);
  ASSERT_TRUE(talk(first) && talk(second));
  EXPECT_EQ(truth(1), 2u);
  start_update();
  Connection third = connect_tcp(kName), fourth = connect_tcp(kName);
  ASSERT_TRUE(talk(first) && talk(second) && talk(third) && talk(fourth));
  first = {};
  third = {};
  // Linux 6.12 calls `release` twice for a connection that is reset.
  EXPECT_GT(truth(1), 2u);
  EXPECT_GT(truth(2), 2u);
  const uint64_t happened = truth(1) + truth(2);
  const auto record = end_update(update::Order::kCommit);
  EXPECT_EQ(record.state, update::State::kCommitted) << record.reason;
  EXPECT_EQ(counted(2, 2), happened);
  EXPECT_TRUE(talk(second) && talk(fourth));  // no connection was harmed
}

TEST_F(CongestionTest, RollbackHasWhatTheNewGenerationCounted) {
  MS_SKIP_IF_REFUSED();
  ASSERT_THAT(load(), ::testing::IsEmpty());
  Connection first = connect_tcp(kName);
  start_update();
  Connection second = connect_tcp(kName);
  ASSERT_TRUE(talk(first) && talk(second));
  second = {};
  EXPECT_GT(truth(2), 1u);
  const uint64_t happened = truth(1) + truth(2);
  const auto record = end_update(update::Order::kRollback);
  EXPECT_EQ(record.state, update::State::kRolledBack) << record.reason;
  EXPECT_EQ(counted(1, 1), happened);
  const Connection third = connect_tcp(kName);
  ASSERT_TRUE(talk(third));
  EXPECT_EQ(truth(1), 2u);
  EXPECT_EQ(counted(1, 1), happened + 1);
}

TEST_F(CongestionTest, SwapIsCompareAndSwapAndRunningSaysWhich) {
  MS_SKIP_IF_REFUSED();
  ASSERT_THAT(load(), ::testing::IsEmpty());
  start_update();
  const Hook hook{.type = "struct_ops", .name = "tcp_congestion_ops"};
  const std::string dir = hook_dir("steady");
  EXPECT_EQ(kernel_->running(hook, dir, program(1, "steady"), program(2, "steady")).value(), 1);
  const auto stale = kernel_->swap(hook, dir, program(1, "steady"), program(2, "steady"));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
  const Status taken = kernel_->attach(hook, hook_dir("again"), program(1, "steady"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(end_update(update::Order::kRollback).state, update::State::kRolledBack);
}

TEST_F(CongestionTest, OtherTablesAreRefusedByName) {
  const Status checked = kernel_->check_hook({.type = "struct_ops", .name = "sched_ext_ops"});
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, ::testing::AllOf(::testing::HasSubstr("sched_ext_ops"),
      ::testing::HasSubstr("EOPNOTSUPP")));
}

}  // namespace
}  // namespace mapshift::test
