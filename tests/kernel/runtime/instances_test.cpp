// SPDX-License-Identifier: Apache-2.0
// One object at both ends of a pair of interfaces: each instance counts for itself and all count together, also while they move
// to another generation and back.
#include <cstdlib>
#include <cstring>

#include "ledger.h"

namespace mapshift::test {
namespace {

using ::testing::ElementsAre;

class InstancesTest : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    net_ = std::make_unique<PrivateNet>();
    MS_SKIP_FOR(net_->problem());
    before_ = KernelIds::now();
  }

  // `seen` is of each, `total` of all.
  [[nodiscard]] LoadRequest two(int n) const {
    LoadRequest asked = request(n);
    asked.instances = {"a", "b"};
    asked.instance_maps = {"jumps", "seen"};
    asked.instance_programs = {"on_xdp"};
    asked.prog_arrays["jumps"] = {{3, "fragile"}};
    asked.hooks = {{"on_xdp@a", hook(PrivateNet::kNear)}, {"on_xdp@b", hook(PrivateNet::kFar)}};
    return asked;
  }
  [[nodiscard]] static Hook hook(const std::string& interface) { return Hook{.type = "xdp", .interface = interface, .mode = "generic"}; }
  [[nodiscard]] uint64_t total(int n) const {
    const auto element = kernel_->read_element(map(n, "bss"), std::vector<std::byte>(4));
    uint64_t value = 0;
    if (element) std::memcpy(&value, element->data(), sizeof value);
    return value;
  }
  // Frames that the instance a receives, and then b. Their numbers are the next ones.
  void send(uint32_t to_a, uint32_t to_b) {
    const Fd socket = open_frame_socket("");
    for (uint32_t i = 0; i < to_a; ++i) ASSERT_TRUE(send_frame(socket, PrivateNet::kFar, next_++));
    for (uint32_t i = 0; i < to_b; ++i) ASSERT_TRUE(send_frame(socket, PrivateNet::kNear, next_++));
    EXPECT_TRUE(eventually([&] { return total(1) == next_; }));  // a frame waits in a queue before its hook
  }
  // The frames wait in a queue when send() returns.
  void expect_total(int n, uint64_t count) {
    EXPECT_TRUE(eventually([&] { return total(n) >= count; }));
    EXPECT_EQ(total(n), count);
  }
  [[nodiscard]] uint64_t seen(int n, const std::string& instance) const {
    const Ledger ledger(map(n, "seen@" + instance));
    uint64_t count = 0;
    for (uint32_t number = 0; number < next_; ++number) count += ledger.times(number);
    return count;
  }

  // The program in the slot that an instance calls.
  [[nodiscard]] uint32_t called(const std::string& instance) const {
    const auto element = kernel_->read_element(map(1, "jumps@" + instance), {std::byte{3}, std::byte{0}, std::byte{0}, std::byte{0}});
    uint32_t id = 0;
    if (element) std::memcpy(&id, element->data(), sizeof id);
    return id;
  }

  std::unique_ptr<PrivateNet> net_;
  uint32_t next_ = 0;
};

TEST_F(InstancesTest, ArePinnedUnderTheirNames) {
  const auto report = kernel_->load(two(1));
  ASSERT_TRUE(ok(report));
  EXPECT_EQ(*kernel_->list(generation(1) + "/maps"),
            (std::vector<std::string>{"bss", "data", "data_x", "jumps@a", "jumps@b", "percpu", "ring", "rodata", "seen@a", "seen@b", "stacks", "table", "typed_events", "typed_ring"}));
  EXPECT_EQ(*kernel_->list(generation(1) + "/progs"),
            (std::vector<std::string>{"fragile", "on_egress", "on_ingress", "on_raw", "on_tcx", "on_tracepoint", "on_xdp@a", "on_xdp@b", "tail"}));
  EXPECT_EQ(called("a"), kernel_->program_stats(program(1, "fragile"))->id);
  EXPECT_NE(called("b"), 0u);
  EXPECT_NE(called("b"), called("a"));  // what each load calls is its own
}

TEST_F(InstancesTest, ALaterOneThatDoesNotLoadLeavesNothing) {
  auto asked = two(1);
  asked.hooks.at("on_xdp@b").type = "tracepoint";
  const KernelIds ids = KernelIds::now();
  EXPECT_FALSE(kernel_->load(asked));
  EXPECT_THAT(fs_->listing(), ::testing::IsEmpty());
  EXPECT_EQ(left_over_since(ids), "");
}

TEST_F(InstancesTest, AnOptionalProgramIsLeftOutOfEachThatHasIt) {
  auto asked = two(1);
  asked.rodata["broken"] = {std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};
  asked.optional_programs = {"fragile"};
  const auto once = kernel_->load(asked);
  ASSERT_TRUE(ok(once));
  EXPECT_THAT(once->skipped_programs, ElementsAre("fragile"));
  asked.generation_dir = generation(2);
  asked.instance_programs = {"fragile", "on_xdp"};
  asked.hooks.emplace("fragile@b", hook(PrivateNet::kFar));
  const auto of_one = kernel_->load(asked);
  ASSERT_TRUE(ok(of_one));
  EXPECT_THAT(of_one->skipped_programs, ElementsAre("fragile@b"));
}

// Links, a dispatcher's among them, and a clsact filter, which has none.
TEST_F(InstancesTest, AnInterfaceThatIsGoneIsKnownAndItsNameServesAgain) {
  struct Place {
    std::string dir, program;
    Hook hook;
  };
  Hook behind = hook(PrivateNet::kFar);
  behind.stub = true;
  behind.together = module() + "/together";
  std::vector<Place> places{{hook_dir("on_xdp"), program(1, "on_xdp"), behind},
                            {hook_dir("filter"), program(1, "on_tcx"), {.type = "tc", .interface = PrivateNet::kNear, .direction = "ingress"}}};
  LoadRequest asked = request(1);
  asked.hooks["on_xdp"] = behind;
  if (needs_linux(6, 6, "tcx").empty()) {
    places.push_back({hook_dir("on_tcx"), program(1, "on_tcx"), {.type = "tcx", .interface = PrivateNet::kNear, .direction = "ingress"}});
    asked.hooks["on_tcx"] = places.back().hook;
  }
  ASSERT_TRUE(ok(kernel_->load(asked)));
  for (const Place& place : places) {
    ASSERT_TRUE(ok(kernel_->attach(place.hook, place.dir, place.program))) << place.dir;
    EXPECT_FALSE(*kernel_->place_gone(place.dir)) << place.dir;
  }
  ASSERT_EQ(std::system("ip link delete ms0"), 0);
  for (const Place& place : places) {
    EXPECT_TRUE(*kernel_->place_gone(place.dir)) << place.dir;
    EXPECT_FALSE(kernel_->running(place.hook, place.dir, place.program, "")) << place.dir;
    EXPECT_EQ(kernel_->check_hook(place.hook).error().code, ErrorCode::kNotFound) << place.dir;
  }
  ASSERT_EQ(std::system("ip link add ms0 type veth peer name ms1"), 0);
  for (const Place& place : places) {
    EXPECT_TRUE(*kernel_->place_gone(place.dir)) << place.dir;  // what has its name is another one
    ASSERT_TRUE(ok(kernel_->attach(place.hook, place.dir, place.program))) << place.dir;
    EXPECT_FALSE(*kernel_->place_gone(place.dir)) << place.dir;
    EXPECT_EQ(*kernel_->running(place.hook, place.dir, place.program, ""), 0) << place.dir;
  }
}

TEST_F(InstancesTest, CountForThemselvesAndTogetherThereAndBack) {
  ASSERT_TRUE(ok(kernel_->load(two(1))));
  for (const char* name : {"on_xdp@a", "on_xdp@b"})
    ASSERT_TRUE(ok(kernel_->attach(two(1).hooks.at(name), hook_dir(name), program(1, name))));
  send(5, 3);
  expect_total(1, 8);
  EXPECT_EQ(seen(1, "a"), 5u);
  EXPECT_EQ(seen(1, "b"), 3u);

  auto next = two(2);
  for (const char* name : {"bss", "seen@a", "seen@b"}) next.reuse[name] = map(1, name);
  ASSERT_TRUE(ok(kernel_->load(next)));
  for (const char* name : {"on_xdp@a", "on_xdp@b"})
    ASSERT_TRUE(ok(kernel_->swap(two(2).hooks.at(name), hook_dir(name), program(1, name), program(2, name))));
  send(2, 4);
  expect_total(2, 14);
  EXPECT_EQ(seen(2, "a"), 7u);
  EXPECT_EQ(seen(2, "b"), 7u);
  for (const char* name : {"on_xdp@a", "on_xdp@b"}) {
    EXPECT_EQ(*kernel_->running(two(2).hooks.at(name), hook_dir(name), program(1, name), program(2, name)), 1);
    ASSERT_TRUE(ok(kernel_->swap(two(2).hooks.at(name), hook_dir(name), program(2, name), program(1, name))));
  }
  send(1, 1);
  expect_total(1, 16);
  EXPECT_EQ(kernel_->hook_stats(hook_dir("on_xdp@a"))->id, kernel_->program_stats(program(1, "on_xdp@a"))->id);
  EXPECT_NE(kernel_->program_stats(program(1, "on_xdp@a"))->id, kernel_->program_stats(program(1, "on_xdp@b"))->id);
}

}  // namespace
}  // namespace mapshift::test
