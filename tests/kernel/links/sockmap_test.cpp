// SPDX-License-Identifier: Apache-2.0
// Verdicts on what sockets in a map receive: the kernel lets sockets that are in the map run the old program.
#include <bpf/bpf.h>

#include <atomic>

#include "kernel/digest.h"
#include "kernel/pin.h"
#include "kernel/socket_programs.h"
#include "links_lab.h"

namespace mapshift::test {
namespace {

class SockmapTest : public LinksTest {
 protected:
  void SetUp() override {
    LinksTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    describe("sockets", R"("on_receive": {"attach": {"type": "sockmap", "map": "peers", "hook": "verdict"}})");
    const Status served = kernel_->check_hook({.type = "sockmap", .hook = "verdict"});
    if (served) return;
    EXPECT_THAT(served.error().message, ::testing::HasSubstr("6.10"));
    GTEST_SKIP() << served.error().message;
  }
  [[nodiscard]] bool put(const Connection& connection, uint32_t place) const {
    const auto peers = open_pin(map(1, "peers"));
    const int socket = connection.server.get();
    return peers && bpf_map_update_elem(peers->get(), &place, &socket, BPF_ANY) == 0;
  }
};

TEST_F(SockmapTest, WhatBothGenerationsCountIsCarriedOver) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  const Connection old_one = connect_tcp(), busy = connect_tcp();
  ASSERT_TRUE(put(old_one, 0) && put(busy, 1));
  ASSERT_TRUE(talk(old_one));
  EXPECT_EQ(counted(1, 1), 1u);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> sent{1};
  std::jthread load_thread([&] {
    for (; !stop && talk(busy); ++sent) {}
  });
  start_update();
  const Connection fresh = connect_tcp();
  ASSERT_TRUE(put(fresh, 2));
  for (int i = 0; i < 5; ++i, ++sent) ASSERT_TRUE(talk(fresh));
  for (int i = 0; i < 3; ++i, ++sent) ASSERT_TRUE(talk(old_one));
  ASSERT_TRUE(stop.exchange(true) == false);
  load_thread.join();
  EXPECT_EQ(truth(2), 5u);  // the sockets that were there run the old program on
  EXPECT_EQ(truth(1) + truth(2), sent);
  const auto record = end_update(update::Order::kCommit);
  EXPECT_EQ(record.state, update::State::kCommitted) << record.reason;
  EXPECT_EQ(std::ranges::find(record.warnings, "not-settled", &Problem::code), record.warnings.end());
  EXPECT_EQ(counted(2, 2), sent);
}

TEST_F(SockmapTest, RollbackHasWhatTheNewGenerationCounted) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  const Connection old_one = connect_tcp();
  ASSERT_TRUE(put(old_one, 0));
  ASSERT_TRUE(talk(old_one));
  start_update();
  const Connection fresh = connect_tcp();
  ASSERT_TRUE(put(fresh, 1));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(talk(fresh) && talk(old_one));
  const auto record = end_update(update::Order::kRollback);
  EXPECT_EQ(record.state, update::State::kRolledBack) << record.reason;
  EXPECT_EQ(counted(1, 1), 9u);
  const Connection last = connect_tcp();
  ASSERT_TRUE(put(last, 2) && talk(last));
  EXPECT_EQ(counted(1, 1), 10u);
}

// What keep_old waits for: the old generation is dropped, and its program goes on.
TEST_F(SockmapTest, TheProgramOfASocketHoldsTheOldMap) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  Connection old_one = connect_tcp();
  ASSERT_TRUE(put(old_one, 0));
  const uint32_t id = kernel_->map_stats(map(1, "counts"))->id;
  start_update();
  const auto record = end_update(update::Order::kCommit);
  ASSERT_EQ(record.state, update::State::kCommitted) << record.reason;
  const auto programs = [&] {
    MapHolders found = find_map_holders({id});
    return std::move(found.by_map[id]);
  };
  EXPECT_TRUE(eventually([&] { return programs().size() == 1; }));  // others of that generation end a little later
  EXPECT_THAT(programs(), ::testing::ElementsAre(::testing::AllOf(::testing::Field(&MapHolder::pid, 0),
                                                                  ::testing::Field(&MapHolder::comm,
                                                                      ::testing::HasSubstr("(on_receive)")))));
  old_one = {};
  EXPECT_TRUE(eventually([&] { return programs().empty(); }));
}

TEST_F(SockmapTest, ThePlanSaysThatSocketsStay) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  const update::Plan plan = LinksTest::plan();
  const auto stay = std::ranges::find(plan.warnings, "sockets-stay", &Problem::code);
  ASSERT_NE(stay, plan.warnings.end());
  EXPECT_EQ(stay->where, "programs.on_receive");
  EXPECT_THAT(stay->message, ::testing::HasSubstr("counts"));
}

TEST_F(SockmapTest, AnotherMapAndASecondProgramAreRefused) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  const Hook hook{.type = "sockmap", .hook = "verdict", .map = "peers"};
  const Status second = kernel_->attach(hook, hook_dir("second"), program(1, "on_receive"));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  LoadRequest other = request(2);
  other.object_path = std::string(FIXTURES) + "/links_sockets_v2.bpf.o";
  other.object_digest = sha256_hex(read_file_bytes(other.object_path).value());
  other.rodata.clear();
  other.hooks = {{"on_receive", hook}};
  ASSERT_TRUE(ok(kernel_->load(other)));
  const auto swapped = kernel_->swap(hook, hook_dir("on_receive"), program(1, "on_receive"), program(2, "on_receive"));
  ASSERT_FALSE(swapped);
  EXPECT_THAT(swapped.error().message, ::testing::HasSubstr("has to reuse it"));
}

}  // namespace
}  // namespace mapshift::test
