// SPDX-License-Identifier: Apache-2.0
#include <sys/syscall.h>
#include <unistd.h>

#include "workers.h"

// Found by its name in this executable. The number arrives in the first argument's register. The loop is work for it to last a moment.
extern "C" __attribute__((noinline, used)) uint64_t mapshift_work(uint64_t number) {
  for (unsigned i = 0; i < number % 8; ++i) asm volatile("" : "+r"(number));
  return number;
}

namespace mapshift::load {

std::string make_calls(Done& done) {
  constexpr unsigned kBatch = 64;
  for (unsigned i = 0; i < kBatch; ++i) {
    const uint64_t number = done.number.load(std::memory_order_relaxed);
    syscall(SYS_getpgid, static_cast<int>(number % 1024 + 1));
    mapshift_work(number);
    done.number.store(number + 1, std::memory_order_relaxed);
  }
  return {};
}

}  // namespace mapshift::load
