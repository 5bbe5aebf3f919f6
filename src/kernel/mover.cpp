// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>

#include "drain.skel.h"
#include "kernel/drain.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

constexpr uint32_t kAtOnce = 4096;  // elements a call: it holds its CPU

}  // namespace

void Mover::Close::operator()(drain_bpf* skeleton) const { drain_bpf::destroy(skeleton); }

Result<std::unique_ptr<Mover>> Mover::open(const Map& from, const Map& to) {
  const LibbpfLog log;
  std::unique_ptr<drain_bpf, Close> skeleton(drain_bpf::open());
  if (skeleton == nullptr) return fail_errno(errno, "open the draining program");
  int err = bpf_map__reuse_fd(skeleton->maps.from, from.fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton->maps.to, to.fd());
  err = err != 0 ? err : bpf_map__set_value_size(skeleton->maps.element, from.shape().value_size);
  err = err != 0 ? err : drain_bpf::load(skeleton.get());
  if (err == 0) return std::unique_ptr<Mover>(new Mover(std::move(skeleton)));
  auto error = fail_errno(err, "load the draining program");
  error.value().context = log.text();
  return error;
}

Result<Mover::Moved> Mover::run(bool taking, uint64_t limit) const {
  auto* bss = skeleton_->bss;
  bss->moved = 0;
  bss->full = bss->lost = false;
  const bpf_program* program = taking ? skeleton_->progs.take : skeleton_->progs.hand_over;
  for (uint64_t before = 0; before < limit; before += kAtOnce) {
    bss->at_most = static_cast<uint32_t>(std::min<uint64_t>(kAtOnce, limit - before));
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) return fail_errno(errno, "run the draining program");
    if (bss->moved < before + bss->at_most) break;
  }
  if (bss->lost) return fail(ErrorCode::kInternal, "an element of a queue found no room on its way");
  return Moved{bss->moved, bss->full};
}

Result<Mover::Moved> Mover::take(uint64_t limit) const { return run(true, limit); }

Result<Mover::Moved> Mover::hand_over() const { return run(false, UINT32_MAX); }

}  // namespace mapshift
