// SPDX-License-Identifier: Apache-2.0
#include "rig.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "kernel/object_spec.h"

namespace mapshift::test {
namespace {

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

}  // namespace

const MapName Rig::kName{"m", "logged"};

Rig::Rig(size_t history) {
  if (!bpffs_.problem().empty()) throw std::runtime_error(bpffs_.problem());
  Settings settings;
  settings.pin_dir = bpffs_.path() + "/changes";
  settings.history = history;
  settings.ring_bytes = 64u << 20;  // 0.28 s at 5 million records a second: what else runs on the machine is not the subject
  stream_ = need(open_stream(settings));
  ObjectSpec object;
  object.maps.resize(2);
  object.maps[0].name = "rodata";
  object.maps[0].section = DataSection::kRodata;
  object.maps[0].variables = {Variable{"ms_log_logged", 0, 4, nullptr, {}}};
  object.maps[1].name = "logged";
  LoadRequest request;
  (void)need(stream_->prepare("m", object, request));
  writers_ = std::make_unique<Writers>(request);
  if (!pin(writers_->logged(), bpffs_.path() + "/logged")) throw std::runtime_error("pin a map");
}

Watch Rig::watch_of(std::vector<Source> sources) const {
  Watch watch;
  watch.name = kName;
  watch.pin = bpffs_.path() + "/logged";
  watch.sources = std::move(sources);
  watch.instrumented = true;
  return watch;
}

void Rig::watch(const Watch& watch) {
  (void)need(stream_->watch(watch));
  const MapReport now = report();
  first_ = now.version - seen() - now.lost;
}

MapReport Rig::report() { return stream_->stats().maps.at(0); }

uint64_t Rig::seen() {
  uint64_t sum = 0;
  for (const auto& op : report().seen) {
    for (const uint64_t one : op) sum += one;
  }
  return sum;
}

void Rig::drain() {
  while (seen() + report().lost < report().version - first_) std::this_thread::yield();
}

void pin_thread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

double thread_cpu_seconds() { return seconds(CLOCK_THREAD_CPUTIME_ID); }
double process_cpu_seconds() { return seconds(CLOCK_PROCESS_CPUTIME_ID); }

void paced(double rate, uint32_t size, Nanos length, const std::function<void()>& burst) {
  const Nanos began = monotonic_now();
  const double step = size / rate * 1e9;
  for (double due = 0; due < static_cast<double>(length.count()); due += step) {
    const Nanos at = began + Nanos(static_cast<int64_t>(due));
    if (const Nanos now = monotonic_now(); at - now > std::chrono::milliseconds(1)) std::this_thread::sleep_for(at - now - std::chrono::microseconds(200));
    while (monotonic_now() < at) {
    }
    burst();
  }
}

double percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

}  // namespace mapshift::test
