// SPDX-License-Identifier: Apache-2.0
// sync_bench [--keys N] [--rounds N] [--json FILE]: what a pass over a map costs, beside what user space would pay.
#include <bpf/bpf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "lab.h"

namespace mapshift::test {
namespace {

constexpr uint32_t kHotKeys = 10'000;

struct OldFlow { uint64_t packets, last; uint32_t state, spare; };
struct NewFlow { uint32_t state, spare; uint64_t last, packets; };

// The map of the targets: keys of 4 bytes, values of 24, 3 fields.
SyncSpec flow_spec(uint32_t entries, bool in_slices) {
  SyncSpec spec;
  spec.in_slices = in_slices;
  spec.key_size = 4;
  spec.value_size0 = spec.value_size1 = sizeof(OldFlow);
  spec.max_entries0 = spec.max_entries1 = entries;
  spec.fields = {field(SyncOp::kSum, 8, offsetof(OldFlow, packets), 8, offsetof(NewFlow, packets)),
                 field(SyncOp::kMax, 8, offsetof(OldFlow, last), 8, offsetof(NewFlow, last)),
                 field(SyncOp::kLatest, 4, offsetof(OldFlow, state), 4, offsetof(NewFlow, state))};
  return spec;
}

uint32_t key_of(uint32_t i) { return i * 2654435761u; }

NewFlow convert(const OldFlow& v) { return {v.state, 0, v.last, v.packets}; }

double seconds(const PassReport& report) { return Seconds(report.ended - report.began).count(); }

double timed(const std::function<void()>& work) {
  const Nanos began = monotonic_now();
  work();
  return Seconds(monotonic_now() - began).count();
}

// (a) What bpftool-like tools do.
void copy_one_by_one(const Lab& lab) {
  uint32_t key = 0, next = 0;
  OldFlow value{};
  for (const void* from = nullptr; bpf_map_get_next_key(lab.fd0(), from, &next) == 0; from = &key) {
    key = next;
    if (bpf_map_lookup_elem(lab.fd0(), &key, &value) != 0) continue;
    const NewFlow made = convert(value);
    bpf_map_update_elem(lab.fd1(), &key, &made, BPF_ANY);
  }
}

// (b) The fastest that user space has. Overwrites what the new side holds, so it is no answer, only a measure.
void copy_in_batches(const Lab& lab) {
  constexpr uint32_t kBatch = 4096;
  std::vector<uint32_t> keys(kBatch);
  std::vector<OldFlow> old(kBatch);
  std::vector<NewFlow> made(kBatch);
  uint64_t cursor[2] = {0, 0};
  for (bool first = true, more = true; more; first = false) {
    uint32_t count = kBatch;
    more = bpf_map_lookup_batch(lab.fd0(), first ? nullptr : &cursor[0], &cursor[1], keys.data(), old.data(), &count, nullptr) == 0;
    cursor[0] = cursor[1];
    std::transform(old.begin(), old.begin() + count, made.begin(), convert);
    bpf_map_update_batch(lab.fd1(), keys.data(), made.data(), &count, nullptr);
  }
}

struct Row {
  std::string name;
  double value = 0;
  std::string unit, target;
};

double cpu_time() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Bench {
 public:
  Bench(const PrivateBpffs& bpffs, uint32_t keys, int rounds, bool in_slices)
      : keys_(keys), rounds_(rounds), lab_(bpffs, flow_spec(keys, in_slices)) {}

  std::vector<Row> run() {
    change(keys_);
    rate("first pass, all keys made", [&] { return seconds(lab_.pass(SyncPhase::kPrecopy, false)); }, 1, "");
    rate("pass, nothing changed", [&] { return seconds(lab_.pass(SyncPhase::kPrecopy, false)); }, rounds_, ">= 1.8");
    rate("pass, all changed", [&] { change(keys_); return seconds(lab_.pass(SyncPhase::kPrecopy, false)); }, rounds_, ">= 0.8");
    rate("complete pass before the swap", [&] { return seconds(lab_.pass(SyncPhase::kPrecopy, true)); }, rounds_, "");
    rate("pass after the swap, nothing changed", [&] { return seconds(lab_.pass(SyncPhase::kLiveNew)); }, rounds_, "");
    hot();
    rate("(a) next key + lookup + update", [&] { return timed([&] { copy_one_by_one(lab_); }); }, 1, "");
    rate("(b) batch lookup + batch update", [&] { return timed([&] { copy_in_batches(lab_); }); }, rounds_, "");
    return rows_;
  }

  // One unchanged pass by CPU time: what a walk costs, whoever else wants the CPU.
  double unchanged_rate() {
    std::vector<double> rates;
    for (int n = 0; n < rounds_; ++n) {
      const double began = cpu_time();
      lab_.pass(SyncPhase::kPrecopy, false);
      rates.push_back(keys_ / (cpu_time() - began) / 1e6);
    }
    return median(rates);
  }
  void fill() {
    change(keys_);
    lab_.pass(SyncPhase::kPrecopy, false);
  }

 private:
  void change(uint32_t count) {
    ++stamp_;
    for (uint32_t i = 0; i < count; ++i) lab_.put0(key_of(i), OldFlow{stamp_ + i, stamp_ + i, stamp_, 0});
  }
  void rate(const std::string& name, const std::function<double()>& once, int rounds, const std::string& target) {
    std::vector<double> rates;
    for (int n = 0; n < rounds; ++n) rates.push_back(keys_ / once() / 1e6);
    rows_.push_back({name, median(rates), "M keys/s", target});
  }
  // How old the new map is at the swap, when the hot keys change all the time: one hot pass.
  void hot() {
    std::vector<double> times;
    const uint32_t count = std::min(kHotKeys, keys_);
    for (int n = 0; n < rounds_; ++n) {
      change(count);
      lab_.pass(SyncPhase::kPrecopy, false);
      change(count);
      times.push_back(seconds(*lab_.sync().pass_hot(SyncPhase::kPrecopy)) * 1e3);
    }
    rows_.push_back({"staleness at the swap, " + std::to_string(count) + " hot keys", median(times), "ms", "< 10"});
  }

  uint32_t keys_;
  int rounds_;
  uint32_t stamp_ = 0;
  Lab lab_;
  std::vector<Row> rows_;
};

bool write_json(const std::string& path, uint32_t keys, const std::vector<Row>& rows) {
  FILE* out = std::fopen(path.c_str(), "w");
  if (out == nullptr) return false;
  utsname host{};
  uname(&host);
  std::fprintf(out, "{\"benchmark\": \"sync\", \"kernel\": \"%s\", \"cpus\": %u, \"keys\": %u, \"rows\": [", host.release,
               std::thread::hardware_concurrency(), keys);
  for (size_t i = 0; i < rows.size(); ++i) {
    std::fprintf(out, "%s\n  {\"name\": \"%s\", \"value\": %.3f, \"unit\": \"%s\", \"target\": \"%s\"}", i == 0 ? "" : ",",
                 rows[i].name.c_str(), rows[i].value, rows[i].unit.c_str(), rows[i].target.c_str());
  }
  std::fprintf(out, "\n]}\n");
  return std::fclose(out) == 0;
}

int bench(int argc, char** argv) {
  uint32_t keys = 1'000'000;
  int rounds = 5;
  std::string json;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--keys") keys = static_cast<uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (flag == "--rounds") rounds = static_cast<int>(std::strtol(argv[i + 1], nullptr, 10));
    if (flag == "--json") json = argv[i + 1];
  }
  if (keys == 0 || rounds < 1) {
    std::fprintf(stderr, "usage: sync_bench [--keys N] [--rounds N] [--json FILE]\n");
    return 2;
  }
  const PrivateBpffs bpffs;
  if (!bpffs.problem().empty()) {
    std::fprintf(stderr, "%s\n", bpffs.problem().c_str());
    return 1;
  }
  std::vector<Row> rows = Bench(bpffs, keys, rounds, false).run();
  for (const bool in_slices : {false, true}) {
    Bench bench(bpffs, keys, rounds, in_slices);
    bench.fill();
    rows.push_back({std::string("unchanged pass by CPU time, ") + (in_slices ? "in slices" : "whole"), bench.unchanged_rate(), "M keys/s", ""});
  }
  std::printf("%u keys of 4 bytes, values of 24 bytes, 3 fields; medians of %d\n", keys, rounds);
  for (const Row& row : rows) std::printf("%-42s %8.2f %-9s %s\n", row.name.c_str(), row.value, row.unit.c_str(), row.target.c_str());
  if (!json.empty() && !write_json(json, keys, rows)) {
    std::fprintf(stderr, "cannot write %s\n", json.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace mapshift::test

int main(int argc, char** argv) { return mapshift::test::bench(argc, argv); }
