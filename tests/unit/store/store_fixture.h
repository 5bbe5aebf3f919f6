// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "store/store.h"

namespace mapshift::store {

inline constexpr char kDigestOfHello[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";  // of "hello"

inline void write_file(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }
inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string pattern = ::testing::TempDir() + "mapshift-store-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    dir_ = root_ + "/state";
  }
  ~StoreTest() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  [[nodiscard]] std::string db() const { return dir_ + "/mapshift.db"; }

  void open(const Options& options = {}) {
    store_.reset();
    auto opened = Store::open(dir_, options);
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }

  [[nodiscard]] Error open_error() {
    store_.reset();
    auto opened = Store::open(dir_);
    EXPECT_FALSE(opened);
    return opened ? Error{} : opened.error();
  }

  static NewUpdate new_update(const std::string& module, const std::string& key = {}) {
    NewUpdate out;
    out.record.module = module;
    out.record.from = {1, "1.0.0"};
    out.record.to = {2, "2.0.0"};
    out.record.revision = 1;
    out.record.digest = kDigestOfHello;
    out.manifest = R"({"name":"new"})";
    out.old_manifest = R"({"name":"old"})";
    out.idempotency_key = key;
    return out;
  }

  [[nodiscard]] std::string create(const std::string& module, const std::string& key = {}) {
    auto id = store_->create_update(new_update(module, key));
    EXPECT_TRUE(id) << id.error().message;
    return id.value_or("");
  }

  void finish(const std::string& id, update::State state = update::State::kCommitted) {
    auto stored = store_->update(id);
    ASSERT_TRUE(stored) << stored.error().message;
    stored->record.state = state;
    stored->record.revision++;
    const Status saved = store_->save_update(stored->record);
    ASSERT_TRUE(saved) << saved.error().message;
  }

  std::string root_, dir_;
  std::unique_ptr<Store> store_;
};

}  // namespace mapshift::store
