// SPDX-License-Identifier: Apache-2.0
// What change records cost and how fast they arrive: one producing CPU, the agent's stream on the others.
#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <future>
#include <stdexcept>
#include <thread>

#include "kernel/change_scan.h"
#include "rig.h"

namespace mapshift::test {
namespace {

constexpr uint32_t kLoop = 1'000'000;
constexpr int kSlow = 200;

struct Row {
  std::string name;
  double value = 0;
  std::string unit, target;
};

double ns_each(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const Nanos began = monotonic_now();
    work();
    best = std::min(best, static_cast<double>((monotonic_now() - began).count()) / kLoop);
  }
  return best;
}

// Half of them never read; the others read a little, ten times a second.
class SlowSubscribers {
 public:
  explicit SlowSubscribers(Rig& rig) {
    for (int i = 0; i < kSlow; ++i) subscriptions_.push_back(std::move(*rig.stream().subscribe(Rig::kName, {})));
    thread_ = std::thread([this] {
      while (!stop_) {
        for (size_t i = 0; i < subscriptions_.size(); i += 2) (void)subscriptions_[i]->next(Nanos(0), 10);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    });
  }
  ~SlowSubscribers() {
    stop_ = true;
    thread_.join();
  }
  SlowSubscribers(const SlowSubscribers&) = delete;
  SlowSubscribers& operator=(const SlowSubscribers&) = delete;

 private:
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

void cost(Rig& rig, std::vector<Row>& rows) {
  const double plain = ns_each([&] { rig.writers().plain(0, kLoop); });
  const double off = ns_each([&] { rig.writers().update(0, kLoop); });
  rig.watch(rig.watch_of({Source::kInstrumented}));  // again: its reader runs since before this thread had a CPU of its own
  const double logged = ns_each([&] { rig.writers().update(0, kLoop); });
  rig.drain();
  rows.push_back({"an update in a program", plain, "ns", ""});
  rows.push_back({"the same, logged, nobody watches", off - plain, "ns more", ""});
  rows.push_back({"the same, logged and watched", logged - plain, "ns more", "< 80"});
}

// Counted when the consumer has decoded it. Then as fast as one CPU can, whatever becomes of it.
void throughput(Rig& rig, const std::string& name, std::vector<Row>& rows) {
  const uint64_t seen = rig.seen(), lost = rig.report().lost;
  Nanos began = monotonic_now();
  paced(5.5e6, 500, std::chrono::seconds(2), [&] { rig.writers().update(0, 500); });
  rig.drain();
  const double rate = static_cast<double>(rig.seen() - seen) / Seconds(monotonic_now() - began).count();
  rows.push_back({"records to a counted consumer" + name, rate / 1e6, "M/s", ">= 5"});
  rows.push_back({"lost of 11,000,000" + name, static_cast<double>(rig.report().lost - lost), "records", "0"});
  const uint64_t before = rig.seen(), lost_before = rig.report().lost;
  began = monotonic_now();
  for (int i = 0; i < 10; ++i) rig.writers().update(0, kLoop);
  rig.drain();
  const double length = Seconds(monotonic_now() - began).count();
  rows.push_back({"as fast as one CPU writes" + name, static_cast<double>(rig.seen() - before) / length / 1e6, "M/s", ""});
  rows.push_back({"lost of 10,000,000" + name, static_cast<double>(rig.report().lost - lost_before), "records", ""});
}

void latency(Rig& rig, const std::string& name, std::vector<Row>& rows) {
  const auto index = static_cast<size_t>(Source::kInstrumented) - 1;
  const auto before = rig.stream().stats().latency[index];
  const uint64_t lost = rig.report().lost, seen = rig.seen();
  const Nanos began = monotonic_now();
  paced(1e6, 50, std::chrono::seconds(3), [&] { rig.writers().update(0, 50); });
  const double rate = static_cast<double>(rig.seen() - seen) / Seconds(monotonic_now() - began).count();
  rig.drain();
  const auto now = observe::since(rig.stream().stats().latency[index], before);
  rows.push_back({"paced rate" + name, rate / 1e6, "M/s", "1"});
  rows.push_back({"write to consumer, p50" + name, observe::quantile(*now, 0.5).value_or(0) * 1e3, "ms", ""});
  rows.push_back({"write to consumer, p99" + name, observe::quantile(*now, 0.99).value_or(0) * 1e3, "ms", "< 1"});
  rows.push_back({"lost meanwhile" + name, static_cast<double>(rig.report().lost - lost), "records", "0"});
}

void scan(std::vector<Row>& rows) {
  constexpr uint32_t kKeys = 1'000'000;
  const PrivateBpffs bpffs;
  auto log = ChangeLog::open(bpffs.path() + "/changes", 1u << 24);
  const Fd fd(bpf_map_create(BPF_MAP_TYPE_HASH, "big", 4, 24, kKeys, nullptr));
  if (!log || !fd.valid()) throw std::runtime_error("make a large map");
  std::vector<uint32_t> keys(kKeys);
  std::vector<char> values(size_t{24} * kKeys);
  for (uint32_t i = 0; i < kKeys; ++i) keys[i] = i * 2654435761u;
  uint32_t count = kKeys;
  if (bpf_map_update_batch(fd.get(), keys.data(), values.data(), &count, nullptr) != 0) throw std::runtime_error("fill a large map");
  Fd own(bpf_map_get_fd_by_id(map_id(fd.get())));
  const auto map = Map::from_fd(std::move(own), "big");
  auto scan = map ? ChangeScan::open(*log, 1, *map) : Result<ChangeScan>(fail(map.error()));
  if (!scan) throw std::runtime_error(scan.error().message);
  std::vector<double> rates;
  for (int i = 0; i < 5; ++i) rates.push_back(kKeys / Seconds(scan->pass().value().took).count() / 1e6);
  rows.push_back({"scan of 1,000,000 keys, nothing changed", percentile(rates, 0.5), "M keys/s", ">= 2"});
}

void write_json(FILE* out, const std::vector<Row>& rows, const std::vector<ModeRow>& modes) {
  utsname host{};
  uname(&host);
  std::fprintf(out, "{\"benchmark\": \"changes\", \"kernel\": \"%s\", \"cpus\": %u, \"rows\": [", host.release, std::thread::hardware_concurrency());
  for (const Row& row : rows) {
    std::fprintf(out, "%s\n  {\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"target\": \"%s\"}", &row == rows.data() ? "" : ",",
                 row.name.c_str(), row.value, row.unit.c_str(), row.target.c_str());
  }
  std::fprintf(out, "\n], \"modes\": [");
  for (const ModeRow& row : modes) {
    std::fprintf(out, "%s\n  {\"mode\": \"%s\", \"updates\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"cpu\": %.4f, \"stale_ms\": %.3f, \"in_place_ms\": %.1f}",
                 &row == modes.data() ? "" : ",", row.mode.c_str(), row.updates, row.p50_ms, row.p99_ms, row.cpu, row.stale_ms, row.in_place_ms);
  }
  std::fprintf(out, "\n]}\n");
}

void print(const std::vector<Row>& rows, const std::vector<ModeRow>& modes) {
  for (const Row& row : rows) std::printf("%-52s %10.3f %-9s %s\n", row.name.c_str(), row.value, row.unit.c_str(), row.target.c_str());
  if (modes.empty()) return;
  std::printf("\n%-10s %14s %10s %10s %8s %12s %16s\n", "mode", "updates/s", "p50 ms", "p99 ms", "CPU", "stalest ms", "in place, ms");
  for (const ModeRow& row : modes) {
    std::printf("%-10s %14.0f %10.3f %10.3f %7.2f%% %12.3f ", row.mode.c_str(), row.updates, row.p50_ms, row.p99_ms, row.cpu * 100, row.stale_ms);
    if (row.in_place_ms < 0) std::printf("%16s\n", "never");
    else std::printf("%16.0f\n", row.in_place_ms);
  }
}

void rates(std::vector<Row>& rows) {
  std::async(std::launch::async, [&rows] {  // a thread of its own, whose CPU those inherit that it starts
    pin_thread(1);  // the stream's threads are born there
    Rig rig;
    rig.writers().object().data->mask = 1023;
    rig.writers().update(0, 1024);
    rig.watch(rig.watch_of({Source::kInstrumented}));
    rig.stream().unwatch(Rig::kName);
    pin_thread(0);
    cost(rig, rows);
    throughput(rig, "", rows);
    latency(rig, "", rows);
    const SlowSubscribers slow(rig);
    throughput(rig, ", 200 slow subscribers", rows);
    latency(rig, ", 200 slow subscribers", rows);
  }).get();
}

int bench(int argc, char** argv) {
  std::string json, part = "all";
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--json") json = argv[i + 1];
    if (std::string(argv[i]) == "--part") part = argv[i + 1];
  }
  if (argc % 2 == 0 || (part != "all" && part != "rates" && part != "scan" && part != "modes")) {
    std::fprintf(stderr, "usage: changes_bench [--part rates|scan|modes] [--json FILE]\n");
    return 2;
  }
  std::vector<Row> rows;
  std::vector<ModeRow> modes;
  const auto wanted = [&part](const char* name) { return part == "all" || part == name; };
  if (wanted("rates")) rates(rows);
  if (wanted("scan")) scan(rows);
  if (wanted("modes")) modes = compare_modes();
  print(rows, modes);
  if (json.empty()) return 0;
  FILE* out = std::fopen(json.c_str(), "w");
  if (out == nullptr) throw std::runtime_error("cannot write " + json);
  write_json(out, rows, modes);
  return std::fclose(out) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace mapshift::test

int main(int argc, char** argv) {
  try {
    return mapshift::test::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
