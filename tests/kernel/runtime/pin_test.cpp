// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <atomic>
#include <thread>

#include "kernel/pin.h"
#include "ledger.h"

namespace mapshift::test {
namespace {

class PinTest : public RuntimeTest {
 protected:
  std::string make_map(const std::string& name) {
    const Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "pin_test", 4, 4, 1, nullptr));
    const std::string path = module() + "/gen/1/maps/" + name;
    EXPECT_TRUE(ok(pin(fd.get(), path)));
    return path;
  }
};

// A reader finds one of the two at any instant, never nothing.
TEST_F(PinTest, PublishIsAtomic) {
  const std::string a = make_map("a"), b = make_map("b"), published = module() + "/maps/flows";
  ASSERT_TRUE(ok(kernel_->publish(a, published)));
  std::atomic<bool> stop{false};
  std::atomic<int> missing{0};
  std::jthread reader([&] {
    while (!stop) missing += !kernel_->map_stats(published);
  });
  for (int i = 0; i < 2000; ++i) ASSERT_TRUE(ok(kernel_->publish(i % 2 == 0 ? b : a, published)));
  stop = true;
  reader.join();
  EXPECT_EQ(missing, 0);
  EXPECT_EQ(kernel_->map_stats(published)->id, kernel_->map_stats(a)->id);
  EXPECT_THAT(*kernel_->list(module() + "/maps"), ::testing::ElementsAre("flows"));
  EXPECT_TRUE(ok(kernel_->unpublish(published)));
  EXPECT_TRUE(ok(kernel_->unpublish(published)));
}

TEST_F(PinTest, PublishGoesOnAfterADeadOne) {
  const std::string a = make_map("a"), published = module() + "/maps/flows";
  ASSERT_TRUE(ok(pin(open_pin(a)->get(), published + "~")));
  EXPECT_THAT(*kernel_->list(module() + "/maps"), ::testing::IsEmpty());
  EXPECT_TRUE(ok(kernel_->publish(a, published)));
}

TEST_F(PinTest, MissingSourceIsNotFoundAndChangesNothing) {
  const std::string a = make_map("a"), published = module() + "/maps/flows";
  ASSERT_TRUE(ok(kernel_->publish(a, published)));
  const auto listing = fs_->listing();
  const auto status = kernel_->publish(a + "x", published);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(fs_->listing(), listing);
}

TEST_F(PinTest, OnlyBpffsIsPinnedIn) {
  const std::string a = make_map("a");
  const auto status = kernel_->publish(a, "/tmp/mapshift-no-bpffs/flows");
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(status.error().message, ::testing::HasSubstr("mount -t bpf"));
}

TEST_F(PinTest, GuardTakesBackAllButWhatWasThere) {
  const std::string a = make_map("a");
  const auto fd = open_pin(a);
  const auto listing = fs_->listing();
  {
    PinGuard pins;
    ASSERT_TRUE(ok(pins.pin(fd->get(), module() + "/deep/er/x")));
    ASSERT_TRUE(ok(pins.pin(fd->get(), module() + "/gen/1/maps/x")));
    ASSERT_FALSE(pins.pin(fd->get(), a));
  }
  EXPECT_EQ(fs_->listing(), listing);
}

TEST_F(PinTest, MissingTreesAreNoError) {
  EXPECT_TRUE(ok(kernel_->remove_tree(module() + "/nosuch")));
  EXPECT_THAT(*kernel_->list(module() + "/nosuch"), ::testing::IsEmpty());
}

}  // namespace
}  // namespace mapshift::test
