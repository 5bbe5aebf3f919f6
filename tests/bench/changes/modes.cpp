// SPDX-License-Identifier: Apache-2.0
// Three ways to stay in step with a map, on the same work: 20,000 updates a second of 1024 keys, each value saying when it was
// written; then one write in place that the module does not log.
#include <atomic>
#include <cstring>
#include <optional>
#include <thread>

#include "rig.h"

namespace mapshift::test {
namespace {

constexpr double kRate = 20'000;
constexpr uint32_t kBurst = 20;
constexpr auto kLength = std::chrono::seconds(3);

// Reads as a client would and notes how old each value is when it arrives.
class Follower {
 public:
  explicit Follower(std::unique_ptr<Subscription> subscription) : subscription_(std::move(subscription)), thread_([this] { run(); }) {}
  ~Follower() { stop(); }
  Follower(const Follower&) = delete;
  Follower& operator=(const Follower&) = delete;
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::vector<double>& ages_ms() { return ages_; }

 private:
  void run() {
    while (!stop_) {
      const auto events = subscription_->next(std::chrono::milliseconds(20), 4096);
      const double now = static_cast<double>(monotonic_now().count());
      for (const auto& event : events.value_or(std::vector<Event>{})) {
        const auto* change = std::get_if<Change>(&event);
        if (change == nullptr || change->value.size() < 16) continue;
        uint64_t written = 0;
        std::memcpy(&written, change->value.data() + 8, 8);
        ages_.push_back((now - static_cast<double>(written)) / 1e6);
      }
    }
  }
  std::unique_ptr<Subscription> subscription_;
  std::vector<double> ages_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::unique_ptr<Subscription> subscribe(Rig& rig) { return std::move(*rig.stream().subscribe(Rig::kName, {})); }

// An update by a program that does not log: only a scan can see it.
double until_in_place_ms(Rig& rig) {
  const auto subscription = subscribe(rig);
  const Nanos began = monotonic_now();
  rig.writers().plain(77, 1);
  while (monotonic_now() - began < std::chrono::seconds(12)) {
    const auto events = subscription->next(std::chrono::milliseconds(100), 4096);
    for (const auto& event : events.value_or(std::vector<Event>{})) {
      const auto* change = std::get_if<Change>(&event);
      uint64_t written = 0;
      if (change == nullptr || change->value.size() < 16) continue;
      std::memcpy(&written, change->value.data() + 8, 8);
      if (written == 1) return Seconds(monotonic_now() - began).count() * 1e3;
    }
  }
  return -1;
}

ModeRow measure(Mode mode, std::vector<Source> sources) {
  Rig rig(1u << 17);
  rig.writers().object().data->mask = 1023;
  rig.writers().stamp(0, 1024);
  Watch watch = rig.watch_of(std::move(sources));
  watch.mode = mode;
  watch.keys = watch.values = true;
  rig.watch(watch);
  ModeRow row;
  row.mode = to_string(mode);
  {
    Follower follower(subscribe(rig));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    const double cpu = process_cpu_seconds(), writer = thread_cpu_seconds();
    uint32_t next = 0;
    paced(kRate, kBurst, kLength, [&] { rig.writers().stamp(next += kBurst, kBurst); });
    row.cpu = (process_cpu_seconds() - cpu - (thread_cpu_seconds() - writer)) / Seconds(kLength).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    follower.stop();
    row.p50_ms = percentile(follower.ages_ms(), 0.5);
    row.p99_ms = percentile(follower.ages_ms(), 0.99);
    row.stale_ms = percentile(follower.ages_ms(), 1);
  }
  row.in_place_ms = mode == Mode::kEvents ? -1 : until_in_place_ms(rig);
  const uint64_t before = rig.seen();
  const Nanos began = monotonic_now();
  while (monotonic_now() - began < std::chrono::seconds(1)) rig.writers().stamp(0, 20'000);
  rig.drain();
  row.updates = static_cast<double>(rig.seen() - before) / Seconds(monotonic_now() - began).count();
  return row;
}

}  // namespace

std::vector<ModeRow> compare_modes() {
  return {measure(Mode::kPull, {}), measure(Mode::kEvents, {Source::kInstrumented}), measure(Mode::kHybrid, {Source::kInstrumented})};
}

}  // namespace mapshift::test
