// SPDX-License-Identifier: Apache-2.0
#include "kernel/sleepable_grace.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sched.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "kernel/attach/perf_probe.h"
#include "kernel/cpu_pin.h"
#include "kernel/libbpf_log.h"
#include "sleeper.skel.h"

namespace mapshift {
namespace {

// Several, since each helps only as long as nobody else uses it: each try begins with another one.
constexpr std::array<const char*, 5> kEvents{"cgroup/cgroup_destroy_root", "xdp/mem_return_failed", "cgroup/cgroup_release", "xdp/xdp_redirect_err",
                                             "sched/sched_process_hang"};
constexpr size_t kEnough = 2;

using Sleeper = std::unique_ptr<sleeper_bpf, void (*)(sleeper_bpf*)>;

bool said(const Sleeper& sleeper, uint32_t what) {
  uint64_t value = 0;
  return bpf_map_lookup_elem(bpf_map__fd(sleeper->maps.state), &what, &value) == 0 && value != 0;
}

Result<std::vector<Fd>> open_events(size_t first) {
  std::vector<Fd> events;
  for (size_t n = 0; n < kEvents.size(); ++n) {
    const char* name = kEvents[(first + n) % kEvents.size()];
    perf_event_attr attributes{};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_TRACEPOINT;
    attributes.disabled = 1;
    if (!(std::ifstream(std::string("/sys/kernel/tracing/events/") + name + "/id") >> attributes.config)) continue;
    MS_TRY(Fd event, open_perf_event(attributes, -1, 0));
    events.push_back(std::move(event));
    if (events.size() == kEnough) break;
  }
  if (!events.empty()) return events;
  return fail(ErrorCode::kUnsupported, "tracefs is not mounted at /sys/kernel/tracing, or has none of the tracepoints that programs are waited for with");
}

// One that this process may run on; -1: there is none. A kernel that does not preempt itself lets nobody else run on the program's.
int another_cpu(int here) {
  cpu_set_t allowed;
  if (here < 0 || ::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return -1;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (cpu != here && CPU_ISSET(cpu, &allowed)) return cpu;
  return -1;
}

enum class Trial { kWaited, kDidNot, kNothingToWaitFor };

Result<Trial> try_with(const Sleeper& sleeper, std::chrono::nanoseconds length, size_t first_event) {
  const uint64_t none = 0;
  for (uint32_t i = 0; i < 2; ++i) (void)bpf_map_update_elem(bpf_map__fd(sleeper->maps.state), &i, &none, BPF_ANY);
  int ran = 0;
  MS_TRY(std::vector<Fd> events, open_events(first_event));  // before the program runs: between the question and the close there is nothing to wait for
  const int here = ::sched_getcpu(), other = another_cpu(here);
  CpuPin self;
  if (here >= 0 && other >= 0) (void)self.move_to(static_cast<uint32_t>(here));
  std::jthread runner([&] {
    CpuPin there;
    if (other >= 0) (void)there.move_to(static_cast<uint32_t>(other));
    uint64_t request = static_cast<uint64_t>(length.count());
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &request, .ctx_size_in = sizeof(request));
    ran = bpf_prog_test_run_opts(bpf_program__fd(sleeper->progs.take_time), &options);
  });
  const Nanos deadline = monotonic_now() + std::chrono::seconds(5);
  while (!said(sleeper, 0) && monotonic_now() < deadline) std::this_thread::yield();
  const bool running = said(sleeper, 0) && !said(sleeper, 1);
  events.clear();  // closing one for good waits; one that somebody else holds open, or that the kernel still looks at, waits for nothing
  const bool over = said(sleeper, 1);
  runner.join();
  if (ran != 0) return fail_errno(-ran, "run a program that may sleep");
  if (!running) return Trial::kNothingToWaitFor;
  return over ? Trial::kWaited : Trial::kDidNot;
}

}  // namespace

// Each wait is proven by a program that runs meanwhile: it was running before, and had ended when the wait returned.
Status wait_for_sleepable_programs() {
  constexpr size_t kTries = 8;
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const LibbpfLog log;
  const Sleeper sleeper(sleeper_bpf__open_and_load(), sleeper_bpf__destroy);
  if (!sleeper) return fail(ErrorCode::kUnsupported, "this kernel loads no program to try with how long programs that may sleep are waited for");
  std::chrono::milliseconds length(50);
  for (size_t i = 0; i < kTries; ++i) {
    MS_TRY(const Trial trial, try_with(sleeper, length, i));
    if (trial == Trial::kWaited) return {};
    if (trial == Trial::kNothingToWaitFor) length *= 2;  // on a busy machine it may be over before anybody waits for it
  }
  return fail(ErrorCode::kUnsupported, "on this kernel nobody can tell when the last run of a program that may sleep is over, so none can be replaced safely");
}

Status check_sleepable_grace() {
  static std::mutex trying;
  static bool waited = false;  // a failure may pass
  const std::lock_guard lock(trying);
  if (waited) return {};
  const Status tried = wait_for_sleepable_programs();
  waited = tried.has_value();
  return tried;
}

}  // namespace mapshift
