// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cstddef>

#include "go_window.skel.h"
#include "kernel/go_probes.h"
#include "kernel/go_skeleton.h"

namespace mapshift {
namespace {

// A system call asks for the values of all possible CPUs, which may be more than those that are there.
size_t cpus() {
  static const int count = libbpf_num_possible_cpus();
  return count > 0 ? static_cast<size_t>(count) : 1;
}

// The counters of a process are all u64 behind its first two members.
using Words = std::array<uint64_t, sizeof(ms_go_process) / sizeof(uint64_t)>;
constexpr size_t kFirstCounter = offsetof(ms_go_process, hits) / sizeof(uint64_t);

ms_go_process add_counters(const ms_go_process& a, const ms_go_process& b) {
  auto total = std::bit_cast<Words>(a);
  const auto more = std::bit_cast<Words>(b);
  for (size_t i = kFirstCounter; i < total.size(); i++) total[i] += more[i];
  return std::bit_cast<ms_go_process>(total);
}

}  // namespace

struct GoWindowProbes::State {
  go_window_bpf* skeleton = nullptr;
  UprobeLink kind = UprobeLink::kMulti;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { go_window_bpf__destroy(skeleton); }
};

Result<GoWindowProbes> GoWindowProbes::load(UprobeLink kind) {
  const LibbpfLog log;
  auto state = std::make_shared<State>();
  state->kind = kind;
  state->skeleton = go_window_bpf__open();
  if (state->skeleton == nullptr) return fail_errno(errno, "open the probes of goroutines");
  MS_CHECK(load_uprobes(state->skeleton, go_window_bpf__load, kind, "the probes of goroutines"));
  return GoWindowProbes(std::move(state));
}

Status GoWindowProbes::add(int tgid, uint32_t waitreason_offset, uint32_t flags) const {
  ms_go_process process{};
  process.waitreason = waitreason_offset;
  process.flags = flags;
  const std::vector<ms_go_process> values(cpus(), process);
  if (bpf_map_update_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid, values.data(), BPF_ANY) == 0) return {};
  if (errno == E2BIG) {
    return fail(ErrorCode::kTooLarge, "probes serve at most " + std::to_string(MS_GO_MAX_PROCESSES) + " processes");
  }
  return fail_errno(errno, "add process " + std::to_string(tgid) + " to the probes");
}

void GoWindowProbes::remove(int tgid) const {
  (void)bpf_map_delete_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid);
  const int fd = bpf_map__fd(state_->skeleton->maps.histograms);
  std::vector<ms_go_histogram_key> gone;
  ms_go_histogram_key key{};
  for (const void* last = nullptr; bpf_map_get_next_key(fd, last, &key) == 0; last = &key) {
    if (key.tgid == static_cast<uint32_t>(tgid)) gone.push_back(key);
  }
  for (const ms_go_histogram_key& each : gone) (void)bpf_map_delete_elem(fd, &each);
  forget(tgid);  // where the probes stay attached nobody else does
}

Result<Uprobes> GoWindowProbes::attach(const std::string& path, const Places& places) const {
  return Uprobes::attach(state_->kind, bpf_program__fd(state_->skeleton->progs.hot), path, places);
}

void GoWindowProbes::open(uint32_t window, Nanos now) const {
  state_->skeleton->bss->window_began = static_cast<uint64_t>(now.count());
  state_->skeleton->bss->window = window;
}

void GoWindowProbes::forget(int tgid) const {
  auto who = static_cast<uint32_t>(tgid);
  LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &who, .ctx_size_in = sizeof(who));
  (void)bpf_prog_test_run_opts(bpf_program__fd(state_->skeleton->progs.forget), &run);
}

std::optional<ms_go_process> GoWindowProbes::read(int tgid) const {
  std::vector<ms_go_process> values(cpus());
  if (bpf_map_lookup_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid, values.data()) != 0) return std::nullopt;
  ms_go_process total = values.front();
  for (size_t cpu = 1; cpu < values.size(); cpu++) total = add_counters(total, values[cpu]);
  return total;
}

std::map<int, GoHistograms> GoWindowProbes::histograms() const {
  const int fd = bpf_map__fd(state_->skeleton->maps.histograms);
  std::map<int, GoHistograms> all;
  std::vector<ms_go_histogram> values(cpus());
  ms_go_histogram_key key{};
  for (const void* last = nullptr; bpf_map_get_next_key(fd, last, &key) == 0; last = &key) {
    if (bpf_map_lookup_elem(fd, &key, values.data()) != 0) continue;
    // Anew and not on top: when somebody deletes the last key meanwhile, the kernel begins again at the first.
    ms_go_histogram& total = all[static_cast<int>(key.tgid)][{key.kind, key.reason}] = {};
    for (const ms_go_histogram& value : values) {
      total.sum += value.sum;
      for (size_t i = 0; i < MS_GO_BUCKETS; i++) total.counts[i] += value.counts[i];
    }
  }
  return all;
}

}  // namespace mapshift
