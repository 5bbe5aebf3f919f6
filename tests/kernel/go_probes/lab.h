// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>
#include <string>

#include "kernel_test.h"
#include "observe/go/probes.h"
#include "program.h"

namespace mapshift::test {

// What the agent finds out about a process before it puts probes on it. Reading the runtime's words for reasons included.
[[nodiscard]] observe::go::Traced trace_of(pid_t pid);

// How many transitions to running the runtime has recorded: every 8th.
[[nodiscard]] std::optional<uint64_t> recorded_transitions(const observe::go::Traced& traced);

// A histogram of the runtime, by its address as linked: all counters. Nothing for address 0 or a process that is gone.
[[nodiscard]] std::vector<uint64_t> runtime_histogram(const observe::go::Traced& traced, uint64_t address);

[[nodiscard]] uint64_t total(const observe::go::ProcessReport& report, const std::string& reason);
[[nodiscard]] double median(const observe::go::ProcessReport& report, const std::string& reason);

// Probes that are attached all the time, on programs of each Go version of this machine.
class GoProbesTest : public KernelTest {
 protected:
  void SetUp() override;
  void open(double budget);
  void add(const Program& program);
  [[nodiscard]] observe::go::ProcessReport report(pid_t pid);

  std::unique_ptr<observe::go::Probes> probes_;
};

class EachVersion : public GoProbesTest, public ::testing::WithParamInterface<std::string> {
 protected:
  [[nodiscard]] int minor() const { return minor_of(GetParam()); }
  [[nodiscard]] Program start(const std::string& mode, int count, const std::string& hold) const {
    return {known_answers(GetParam()), mode, count, hold};
  }
};

}  // namespace mapshift::test
