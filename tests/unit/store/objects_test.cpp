// SPDX-License-Identifier: Apache-2.0
#include <sys/stat.h>

#include "store_fixture.h"

namespace mapshift::store {
namespace {

class Objects : public StoreTest {
 protected:
  Objects() {
    open();
    write_file(source_, "hello");
  }
  [[nodiscard]] size_t count() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(dir_ + "/objects"), {}));
  }
  const std::string source_ = root_ + "/module.bpf.o";
  const std::string kept_ = dir_ + "/objects/" + kDigestOfHello + ".bpf.o";
};

TEST_F(Objects, AreCopiedUnderTheirDigest) {
  const auto path = store_->keep_object(source_, kDigestOfHello);
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(*path, kept_);
  EXPECT_EQ(read_file(*path), "hello");
  EXPECT_TRUE(store_->keep_object(source_, kDigestOfHello));
  EXPECT_EQ(count(), 1u);
}

TEST_F(Objects, ACopyThatWentBadIsReplaced) {
  write_file(kept_, "hell0");
  ASSERT_TRUE(store_->keep_object(source_, kDigestOfHello));
  EXPECT_EQ(read_file(kept_), "hello");
}

TEST_F(Objects, OtherContentIsRefusedAndLeavesNothing) {
  write_file(source_, "other");
  EXPECT_EQ(store_->keep_object(source_, kDigestOfHello).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(count(), 0u);
}

TEST_F(Objects, WhatIsNoFileOrNoDigestIsRefused) {
  EXPECT_EQ(store_->keep_object(root_ + "/none", kDigestOfHello).error().sys_errno, ENOENT);
  EXPECT_FALSE(store_->keep_object(root_, kDigestOfHello));
  const std::string fifo = root_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_EQ(store_->keep_object(fifo, kDigestOfHello).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store_->keep_object(source_, "../../etc/passwd").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(store_->keep_object(source_, "").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(count(), 0u);
}

TEST_F(Objects, PruningKeepsWhatIsReferredTo) {
  ASSERT_TRUE(store_->keep_object(source_, kDigestOfHello));
  ASSERT_TRUE(store_->put_generation({"m", 1, "1", kDigestOfHello, "{}", kept_}));
  open();
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 1u);
  ASSERT_TRUE(store_->remove_generation("m", 1));
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 0u);
}

TEST_F(Objects, PruningKeepsThoseOfARunningUpdate) {
  ASSERT_TRUE(store_->keep_object(source_, kDigestOfHello));
  const std::string id = create("m");
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 1u);
  finish(id, update::State::kFailed);
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 0u);
}

TEST_F(Objects, PruningSparesWhatWasJustKept) {
  ASSERT_TRUE(store_->keep_object(source_, kDigestOfHello));
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 1u);
  open();
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 0u);
}

TEST_F(Objects, PruningRemovesCopiesThatACrashCutOffAndNothingElse) {
  write_file(dir_ + "/objects/.incoming-" + kDigestOfHello, "hel");
  write_file(dir_ + "/objects/notes.txt", "mine");
  ASSERT_TRUE(store_->prune_objects());
  EXPECT_EQ(count(), 1u);
  EXPECT_TRUE(std::filesystem::exists(dir_ + "/objects/notes.txt"));
}

}  // namespace
}  // namespace mapshift::store
