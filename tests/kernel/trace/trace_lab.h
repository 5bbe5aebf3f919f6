// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <string>

#include "ledger.h"

namespace mapshift::test {

// What probes are put on: returns its argument.
extern "C" uint32_t ms_traced_function(uint32_t number);
extern "C" uint32_t ms_traced_twin(uint32_t number);

// Passes a static probe, mapshift:event, with a constant and its argument; mapshift:other is another one.
void ms_static_probe(uint32_t number);
// Counts who listens to mapshift:event.
extern "C" uint16_t ms_event_semaphore;

// This test's own executable.
[[nodiscard]] std::string own_executable();

// Loads of trace_ledger.bpf.o, each with one program only: what this kernel refuses must not stop the others.
class TraceTest : public RuntimeTest {
 protected:
  struct Load {
    std::string program;
    Hook hook;
    std::function<void(uint32_t number)> send;  // from two threads
    int swaps = 100;
    bool flowing = false;  // events all the time, until the ledger is full: for swaps that take long
  };
  [[nodiscard]] LoadRequest trace_request(int n, const std::string& program, const Hook& hook) const;
  // Of generation 2, with the gates of generation 1 where it needs them.
  [[nodiscard]] LoadRequest second_request(const std::string& program, const Hook& hook) const;
  // Loads two generations and swaps them under load; each event must be processed by exactly one.
  void expect_exactly_once_over_swaps(const Load& load);
  // Skips unless this kernel serves the hook; elsewhere it must say why.
  [[nodiscard]] std::string refusal(const Hook& hook);
};

}  // namespace mapshift::test
