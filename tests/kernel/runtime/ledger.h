// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/fd.h"
#include "kernel/linux_kernel.h"
#include "kernel_ids.h"
#include "kernel_test.h"
#include "private_bpffs.h"
#include "private_net.h"

namespace mapshift::test {

inline constexpr uint32_t kLedgerEntries = 1u << 20;

// The ledger of one generation, mapped: how often event n was processed by it.
class Ledger {
 public:
  explicit Ledger(const std::string& pin);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger();
  [[nodiscard]] uint64_t times(uint32_t number) const { return __atomic_load_n(&entries_[number], __ATOMIC_RELAXED); }

 private:
  uint64_t* entries_ = nullptr;
};

// Waits until each of the events 0 .. count-1 was processed: packets wait in a queue of the CPU that sent them, and that of
// the last one says nothing of the other CPUs'.
void await_all(const Ledger& ledger0, const Ledger& ledger1, uint32_t count);

// Fails unless each of the events 0 .. count-1 was processed once, by one of the two, and both had their share.
void expect_exactly_once(const Ledger& ledger0, const Ledger& ledger1, uint32_t count);

// A module folder in a bpffs of its own, with loads of the ledger object as its generations.
class RuntimeTest : public KernelTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] std::string module() const { return fs_->path() + "/mapshift/m"; }
  [[nodiscard]] std::string generation(int n) const { return module() + "/gen/" + std::to_string(n); }
  [[nodiscard]] std::string program(int n, const std::string& name) const { return generation(n) + "/progs/" + name; }
  [[nodiscard]] std::string map(int n, const std::string& name) const { return generation(n) + "/maps/" + name; }
  [[nodiscard]] std::string hook_dir(const std::string& name) const { return module() + "/hooks/" + name; }
  [[nodiscard]] LoadRequest request(int n) const;
  // Attaches generation 1 of a program, and detaches whatever is there when the test is over.
  [[nodiscard]] Status attach(const Hook& hook, const std::string& name);

  std::unique_ptr<Kernel> kernel_ = make_linux_kernel();
  std::unique_ptr<PrivateBpffs> fs_;
  std::string log_dir_;
  KernelIds before_;
};

template <class T>
::testing::AssertionResult ok(const Result<T>& result) {
  if (result) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << to_string(result.error().code) << ": " << result.error().message << "\n"
      << result.error().context;
}

// Sends numbered events; one object a thread. send() returns false when the system refused.
[[nodiscard]] Fd open_frame_socket(const std::string& interface);
[[nodiscard]] bool send_frame(const Fd& socket, const std::string& interface, uint32_t number);
[[nodiscard]] Fd open_datagram_socket();  // to itself, over loopback
[[nodiscard]] bool send_datagram(const Fd& socket, uint32_t number);

}  // namespace mapshift::test
