// SPDX-License-Identifier: Apache-2.0
#include "observe/go/calibrate.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

namespace mapshift::observe::go {
namespace {

constexpr int kRounds = 100;
// Goroutines of a real program are spread over its memory, and so are their entries in our maps: 0.26 to 0.40 microseconds a hit
// where this loop says 0.22 (Go 1.19 to 1.26, Linux 6.18).
constexpr double kColdMemory = 1.6;

double thread_cpu() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// Places that are called with a goroutine and two states in the registers of Go's calling convention.
extern "C" {
void ms_probe_emulated();
void ms_probe_stepped();
}
#if defined(__x86_64__)
asm(".pushsection .text\n"
    ".globl ms_probe_emulated\n.hidden ms_probe_emulated\n.type ms_probe_emulated,@function\nms_probe_emulated: nop\nret\n"
    ".globl ms_probe_stepped\n.hidden ms_probe_stepped\n.type ms_probe_stepped,@function\nms_probe_stepped: testl %eax,%eax\nret\n"
    ".popsection\n");

void pass(void (*place)(), void* g, unsigned from, unsigned to) {
  asm volatile("call *%3" : "+a"(g), "+b"(from), "+c"(to) : "r"(place) : "memory", "cc");
}
#endif

// The kernel wants offsets into the file that an address was mapped from.
std::optional<uint64_t> file_offset(const void* place) {
  const auto address = reinterpret_cast<uint64_t>(place);
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    uint64_t begin = 0, end = 0, offset = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &begin, &end, &offset) != 3) continue;
    if (address >= begin && address < end) return address - begin + offset;
  }
  return std::nullopt;
}

// A goroutine that parks, is woken, and runs, again and again; CPU seconds for each transition.
double measure(void (*place)()) {
  alignas(8) std::array<unsigned char, 512> goroutine{};
  const double before = thread_cpu();
  for (int i = 0; i < kRounds; i++) {
    pass(place, goroutine.data(), 2, 4);
    pass(place, goroutine.data(), 4, 1);
    pass(place, goroutine.data(), 1, 2);
  }
  return kColdMemory * (thread_cpu() - before) / (3 * kRounds);
}

}  // namespace

ProbeCost calibrate(const GoWindowProbes& probes) {
  ProbeCost cost;
  const int self = ::getpid();
  if (!probes.add(self, 176, MS_GO_SYSCALLS_RUN)) return cost;
  probes.open(1, monotonic_now());
  for (const auto& [place, result] : {std::pair{&ms_probe_emulated, &cost.emulated}, std::pair{&ms_probe_stepped, &cost.stepped}}) {
    const auto offset = file_offset(reinterpret_cast<const void*>(place));
    if (!offset) break;
    const double before = thread_cpu();
    auto set = probes.attach("/proc/self/exe", {{*offset, MS_GO_AT_STATUS}});
    if (!set) break;
    const double attaching = thread_cpu() - before;
    // The first hits pay for pages and maps.
    (void)measure(place);
    *result = std::max(measure(place), 1e-7);
    const double detach = thread_cpu();
    *set = Uprobes();
    cost.window = attaching + thread_cpu() - detach;
  }
  probes.open(0, monotonic_now());
  probes.remove(self);
  probes.forget();
  return cost;
}

}  // namespace mapshift::observe::go
