// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernel/pin.h"
#include "kernel_test.h"
#include "observe/changes/stream.h"
#include "private_bpffs.h"
#include "writers.h"

namespace mapshift::test {

using namespace observe::changes;

template <class T>
::testing::AssertionResult ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error().code) << ": " << result.error().message << "\n" << result.error().context;
}

// What a subscriber got, counted.
struct Got {
  std::vector<Change> changes;
  std::vector<Resync> resyncs;
  [[nodiscard]] uint64_t lost() const;
  [[nodiscard]] std::vector<uint64_t> numbers() const;
};

// A stream of its own in a bpffs of its own, and the writers' maps under the names m/logged and m/numbers.
class ChangesTest : public KernelTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  void start(uint64_t ring_bytes = 1u << 20, size_t history = 1u << 15);
  void stop() { stream_.reset(); }
  [[nodiscard]] std::string pin_of(const std::string& name) const { return fs_->path() + "/" + name; }
  // The writers, loaded as the agent would, and their maps pinned.
  void load_writers();
  [[nodiscard]] Watch watch_of(const std::string& map, std::vector<Source> sources) const;
  [[nodiscard]] std::unique_ptr<Subscription> subscribe(const std::string& map, std::optional<uint64_t> since = {});
  // Reads until `count` changes and lost ones came, or nothing for a while.
  static Got read(Subscription& subscription, uint64_t count);
  [[nodiscard]] MapReport report(const std::string& map) const;

  std::unique_ptr<PrivateBpffs> fs_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Writers> writers_;
};

}  // namespace mapshift::test
