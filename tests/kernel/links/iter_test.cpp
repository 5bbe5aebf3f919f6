// SPDX-License-Identifier: Apache-2.0
// Iterators: whoever reads the link's pin gets what the generation that runs has to say.
#include <bpf/bpf.h>
#include <fcntl.h>
#include <unistd.h>

#include "kernel/map.h"
#include "links_lab.h"

namespace mapshift::test {
namespace {

class IterTest : public LinksTest {
 protected:
  void SetUp() override {
    LinksTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    describe("sockets", R"("list_counts": {"attach": {"type": "iter", "name": "bpf_map_elem", "map": "counts"}}, )"
                        R"("on_receive": {"attach": {"type": "sockmap", "map": "peers", "hook": "verdict"}})");
    if (const Status served = kernel_->check_hook({.type = "sockmap",
        .hook = "verdict"}); !served) GTEST_SKIP() << served.error().message;
  }
  [[nodiscard]] Fd open_list(const std::string& name) const { return Fd(::open((hook_dir(name) + "/link").c_str(),
      O_RDONLY | O_CLOEXEC)); }
  static std::string read_all(const Fd& list) {
    std::string out(4096, '\0');
    const ssize_t got = ::read(list.get(), out.data(), out.size());
    out.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return out;
  }
  // As the first layout writes it, and the second.
  static std::string value(int layout, uint32_t events) {
    const uint32_t first[] = {events, 0}, second[] = {0, 0, events, 0};
    return layout == 1 ? std::string(reinterpret_cast<const char*>(first),
        sizeof first) : std::string(reinterpret_cast<const char*>(second), sizeof second);
  }
  void put_one() {
    uint32_t key = 0;
    const std::string stored = value(1, 7);
    const auto counts = Map::open(map(1, "counts"));
    ASSERT_TRUE(ok(counts));
    ASSERT_EQ(bpf_map_update_elem(counts->fd(), &key, stored.data(), BPF_ANY), 0);
  }
  [[nodiscard]] std::string layout_of_tasks() const { return read_all(open_list("list_tasks")); }
  static std::string number(uint32_t layout) { return {reinterpret_cast<const char*>(&layout), sizeof layout}; }
};

TEST_F(IterTest, ReadersGetTheGenerationThatRuns) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  put_one();
  EXPECT_EQ(read_all(open_list("list_counts")), value(1, 7));
  EXPECT_EQ(layout_of_tasks(), number(1));
  const Fd begun = open_list("list_counts");
  start_update();
  EXPECT_EQ(read_all(open_list("list_counts")), value(2, 7));
  EXPECT_EQ(layout_of_tasks(), number(2));
  EXPECT_EQ(read_all(begun), value(1, 7));  // what was begun is ended by the old one, over the old map
  const auto record = end_update(update::Order::kRollback);
  EXPECT_EQ(record.state, update::State::kRolledBack) << record.reason;
  EXPECT_EQ(read_all(open_list("list_counts")), value(1, 7));
  EXPECT_EQ(layout_of_tasks(), number(1));
}

TEST_F(IterTest, CommitLeavesTheNewOne) {
  ASSERT_THAT(load(), ::testing::IsEmpty());
  put_one();
  start_update();
  const auto record = end_update(update::Order::kCommit);
  EXPECT_EQ(record.state, update::State::kCommitted) << record.reason;
  EXPECT_EQ(read_all(open_list("list_counts")), value(2, 7));
  EXPECT_EQ(layout_of_tasks(), number(2));
}

TEST_F(IterTest, WhatTheKernelDoesNotListIsRefused) {
  const Status unknown = kernel_->check_hook({.type = "iter", .name = "nosuch"});
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, ::testing::HasSubstr("nosuch"));
  Hook hook{.type = "iter", .name = "bpf_map_elem"};
  EXPECT_FALSE(kernel_->check_hook(hook));  // which map?
  hook.name = "task";
  EXPECT_TRUE(ok(kernel_->check_hook(hook)));
  hook.map = "counts";
  EXPECT_FALSE(kernel_->check_hook(hook));
}

}  // namespace
}  // namespace mapshift::test
