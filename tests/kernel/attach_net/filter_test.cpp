// SPDX-License-Identifier: Apache-2.0
// clsact filters: numbered packets through swaps, and what is left behind.
#include <atomic>
#include <cstdio>
#include <thread>

#include "kernel/attach/filter.h"
#include "tiny.h"

namespace mapshift::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  char line[512];
  while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) text += line;
  if (pipe != nullptr) ::pclose(pipe);
  return text;
}

class FilterTest : public TinyTest {
 protected:
  void SetUp() override {
    TinyTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    net_ = std::make_unique<PrivateNet>();
    MS_SKIP_FOR(net_->problem());
  }
  void TearDown() override {
    TinyTest::TearDown();
    net_.reset();
  }
  static Hook ingress(uint32_t priority = 0, uint32_t handle = 0) {
    return {.type = "tc", .interface = PrivateNet::kNear, .direction = "ingress", .priority = priority, .handle = handle};
  }
  static std::string qdiscs() { return output_of(std::string("tc qdisc show dev ") + PrivateNet::kNear); }

  void numbered_frames(const Hook& hook);
  std::unique_ptr<PrivateNet> net_;
};

// A frame waits in a queue before its hook: now and then the senders wait for theirs, lest it overflows.
void FilterTest::numbered_frames(const Hook& hook) {
  constexpr int kSwaps = 20;
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->load(request(n))));
  ASSERT_TRUE(ok(attach(hook, "on_tcx")));
  const Ledger ledger1(map(1, "seen")), ledger2(map(2, "seen"));
  std::atomic<uint32_t> next{0};
  std::atomic<bool> refused{false};
  const auto processed = [&](uint32_t n) { return ledger1.times(n) + ledger2.times(n) > 0; };
  std::vector<std::jthread> senders;
  for (int i = 0; i < 2; ++i) {
    senders.emplace_back([&](const std::stop_token& over) {
      const Fd socket = open_frame_socket(PrivateNet::kFar);
      for (uint32_t n = 0; !over.stop_requested() && (n = next.fetch_add(1)) < kLedgerEntries;) {
        if (!send_frame(socket, PrivateNet::kFar, n)) refused = true;
        if (n % 16 == 0 && !eventually([&] { return processed(n); })) refused = true;
      }
    });
  }
  EXPECT_TRUE(eventually([&] { return next > 64; }));
  const std::string pins[] = {program(1, "on_tcx"), program(2, "on_tcx")};
  for (int i = 0; i < kSwaps && next < kLedgerEntries / 2; ++i) {  // the ledger is finite
    ASSERT_TRUE(ok(kernel_->swap(hook, hook_dir("on_tcx"), pins[i % 2], pins[(i + 1) % 2])));
    ASSERT_EQ(kernel_->running(hook, hook_dir("on_tcx"), pins[0], pins[1]).value(), (i + 1) % 2);
    const uint32_t seen = next;
    ASSERT_TRUE(eventually([&] { return next > seen; }));
  }
  senders.clear();
  ASSERT_FALSE(refused);
  const uint32_t sent = std::min(next.load(), kLedgerEntries);
  await_all(ledger1, ledger2, sent);
  expect_exactly_once(ledger1, ledger2, sent);
  RecordProperty("frames", static_cast<int>(sent));
}

TEST_F(FilterTest, IngressLosesNothing) { numbered_frames(ingress()); }

TEST_F(FilterTest, EgressLosesNothing) {
  numbered_frames({.type = "tc", .interface = PrivateNet::kFar, .direction = "egress", .priority = 7, .handle = 9});
}

TEST_F(FilterTest, SwapsComparesAndLeavesNothing) {
  EXPECT_THAT(qdiscs(), Not(HasSubstr("clsact")));
  swap_there_and_back(ingress());
  EXPECT_THAT(qdiscs(), Not(HasSubstr("clsact")));
}

TEST_F(FilterTest, TakenPlaceIsAConflictThatNamesTheOther) {
  ASSERT_TRUE(ok(pin_tiny(1, ingress())));
  ASSERT_TRUE(ok(kernel_->attach(ingress(3, 4), hook_dir("tiny"), tiny(1))));
  const Status second = kernel_->attach(ingress(3, 4), hook_dir("second"), tiny(1));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kConflict);
  EXPECT_THAT(second.error().message, HasSubstr("(tiny_1)"));
  EXPECT_THAT(*kernel_->list(hook_dir("second")), ::testing::IsEmpty());
  EXPECT_TRUE(ok(kernel_->attach(ingress(), hook_dir("second"), tiny(1))));  // a free priority
}

TEST_F(FilterTest, SomebodyElsesFilterIsLeftAlone) {
  for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, ingress())));
  const std::string place = std::string(" dev ") + PrivateNet::kNear + " ingress pref 3 handle 4 bpf direct-action object-pinned ";
  ASSERT_TRUE(ok(kernel_->attach(ingress(3, 4), hook_dir("tiny"), tiny(1))));
  ASSERT_EQ(std::system(("tc filter replace" + place + tiny(2)).c_str()), 0);
  ASSERT_TRUE(ok(pin_tiny(3, ingress())));
  const auto swapped = kernel_->swap(ingress(3, 4), hook_dir("tiny"), tiny(1), tiny(3));
  ASSERT_FALSE(swapped);
  EXPECT_EQ(swapped.error().code, ErrorCode::kConflict);
  EXPECT_THAT(swapped.error().message, HasSubstr("(tiny_2)"));
  EXPECT_FALSE(kernel_->running(ingress(3, 4), hook_dir("tiny"), tiny(1), tiny(3)));
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
  EXPECT_THAT(output_of(std::string("tc filter show dev ") + PrivateNet::kNear + " ingress"), HasSubstr("tiny_2"));
  EXPECT_THAT(qdiscs(), HasSubstr("clsact"));
  ASSERT_EQ(std::system((std::string("tc qdisc del dev ") + PrivateNet::kNear + " clsact").c_str()), 0);
}

TEST_F(FilterTest, RemovedFilterIsAConflict) {
  for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, ingress())));
  ASSERT_TRUE(ok(kernel_->attach(ingress(3, 4), hook_dir("tiny"), tiny(1))));
  ASSERT_EQ(std::system((std::string("tc qdisc del dev ") + PrivateNet::kNear + " clsact").c_str()), 0);
  const auto running = kernel_->running(ingress(3, 4), hook_dir("tiny"), tiny(1), tiny(2));
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().code, ErrorCode::kConflict);
  EXPECT_FALSE(kernel_->swap(ingress(3, 4), hook_dir("tiny"), tiny(1), tiny(2)));
  EXPECT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
}

// The last filter of the module takes the qdisc along that the first one made.
TEST_F(FilterTest, QdiscGoesWithTheLastFilter) {
  const Hook egress{.type = "tc", .interface = PrivateNet::kNear, .direction = "egress"};
  ASSERT_TRUE(ok(pin_tiny(1, ingress())));
  ASSERT_TRUE(ok(kernel_->attach(ingress(), hook_dir("tiny"), tiny(1))));
  ASSERT_TRUE(ok(kernel_->attach(egress, hook_dir("second"), tiny(1))));
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
  EXPECT_THAT(qdiscs(), HasSubstr("clsact"));
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("second"))));
  EXPECT_THAT(qdiscs(), Not(HasSubstr("clsact")));
}

TEST_F(FilterTest, IsFoundAfterItsInterfaceWasRenamed) {
  const auto ip = [](const std::string& arguments) { return std::system(("ip link set dev " + arguments).c_str()); };
  const std::string near = PrivateNet::kNear, other = near + "_x";
  for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, ingress())));
  ASSERT_TRUE(ok(kernel_->attach(ingress(), hook_dir("tiny"), tiny(1))));
  ASSERT_EQ(ip(near + " down") + ip(near + " name " + other), 0);
  EXPECT_TRUE(ok(kernel_->swap(ingress(), hook_dir("tiny"), tiny(1), tiny(2))));
  EXPECT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
  EXPECT_THAT(output_of("tc filter show dev " + other + " ingress"), ::testing::IsEmpty());
  EXPECT_EQ(ip(other + " name " + near), 0);
}

TEST_F(FilterTest, QdiscOfOthersStays) {
  ASSERT_EQ(std::system((std::string("tc qdisc add dev ") + PrivateNet::kNear + " clsact").c_str()), 0);
  swap_there_and_back(ingress());
  EXPECT_THAT(qdiscs(), HasSubstr("clsact"));
}

// An agent that died between the filter and its second pin: the next attach clears what is there.
TEST_F(FilterTest, HalfAnAttachIsTakenUp) {
  ASSERT_TRUE(ok(pin_tiny(1, ingress())));
  ASSERT_TRUE(ok(kernel_->attach(ingress(3, 4), hook_dir("tiny"), tiny(1))));
  ASSERT_EQ(::unlink((hook_dir("tiny") + "/link").c_str()), 0);
  ASSERT_TRUE(ok(kernel_->attach(ingress(3, 4), hook_dir("tiny"), tiny(1))));
  EXPECT_EQ(kernel_->running(ingress(3, 4), hook_dir("tiny"), tiny(1), tiny(1)).value(), 0);
  ASSERT_TRUE(ok(kernel_->detach(hook_dir("tiny"))));
  EXPECT_THAT(qdiscs(), Not(HasSubstr("clsact")));
}

}  // namespace
}  // namespace mapshift::test
