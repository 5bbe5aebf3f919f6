// SPDX-License-Identifier: Apache-2.0
#include "go_rare.skel.h"
#include "kernel/go_probes.h"
#include "kernel/go_skeleton.h"

namespace mapshift {

struct GoRareProbes::State {
  go_rare_bpf* skeleton = nullptr;
  ring_buffer* ring = nullptr;
  UprobeLink kind = UprobeLink::kMulti;
  const std::function<void(const ms_go_event&)>* take = nullptr;  // only while consume() runs

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    ring_buffer__free(ring);
    go_rare_bpf__destroy(skeleton);
  }
  static int record(void* context, void* data, size_t size) {
    const auto* state = static_cast<const State*>(context);
    if (size >= sizeof(ms_go_event)) (*state->take)(*static_cast<const ms_go_event*>(data));
    return 0;
  }
};

Result<GoRareProbes> GoRareProbes::load(UprobeLink kind) {
  const LibbpfLog log;
  auto state = std::make_shared<State>();
  state->kind = kind;
  state->skeleton = go_rare_bpf__open();
  if (state->skeleton == nullptr) return fail_errno(errno, "open the probes of stops and collections");
  MS_CHECK(load_uprobes(state->skeleton, go_rare_bpf__load, kind, "the probes of stops and collections"));
  state->ring = ring_buffer__new(bpf_map__fd(state->skeleton->maps.events), State::record, state.get(), nullptr);
  if (state->ring == nullptr) return fail_errno(errno, "map the ring of stops and collections");
  return GoRareProbes(std::move(state));
}

Status GoRareProbes::add(int tgid, int go_minor) const {
  ms_go_rare_process process{};
  process.minor_version = static_cast<uint32_t>(go_minor);
  if (bpf_map_update_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid, &process, BPF_ANY) == 0) return {};
  if (errno == E2BIG) {
    return fail(ErrorCode::kTooLarge, "probes serve at most " + std::to_string(MS_GO_MAX_PROCESSES) + " processes");
  }
  return fail_errno(errno, "add process " + std::to_string(tgid) + " to the probes");
}

void GoRareProbes::remove(int tgid) const {
  (void)bpf_map_delete_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid);
  (void)bpf_map_delete_elem(bpf_map__fd(state_->skeleton->maps.stops), &tgid);
}

Result<Uprobes> GoRareProbes::attach(const std::string& path, const Places& places) const {
  return Uprobes::attach(state_->kind, bpf_program__fd(state_->skeleton->progs.rare), path, places);
}

std::optional<ms_go_rare_process> GoRareProbes::read(int tgid) const {
  ms_go_rare_process process{};
  if (bpf_map_lookup_elem(bpf_map__fd(state_->skeleton->maps.processes), &tgid, &process) != 0) return std::nullopt;
  return process;
}

void GoRareProbes::consume(const std::function<void(const ms_go_event&)>& take) const {
  state_->take = &take;
  (void)ring_buffer__consume(state_->ring);
  state_->take = nullptr;
}

}  // namespace mapshift
