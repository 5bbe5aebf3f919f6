// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/stub.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

#include "dispatcher.skel.h"
#include "kernel/libbpf_log.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr int32_t kXdpPass = 2, kTcNext = -1, kAllow = 1;
constexpr uint32_t kOneBit = 1, kTwoBits = 3;  // of the return code: the verifier's rule for these programs
constexpr uint32_t kXdpHasFrags = 1u << 5;     // BPF_F_XDP_HAS_FRAGS, since Linux 5.18

}  // namespace

std::optional<StubShape> stub_shape(uint32_t program_type, uint32_t expected_attach_type) {
  using Flow = StubShape::Flow;
  switch (program_type) {
    case BPF_PROG_TYPE_XDP: return StubShape{Flow::kXdp, kXdpPass};
    case BPF_PROG_TYPE_SCHED_CLS: return StubShape{Flow::kSkb, kTcNext};
    case BPF_PROG_TYPE_CGROUP_SKB:
      return StubShape{Flow::kSkb, kAllow, expected_attach_type == BPF_CGROUP_INET_EGRESS ? kTwoBits : kOneBit};
    case BPF_PROG_TYPE_SK_LOOKUP:
    case BPF_PROG_TYPE_SOCK_OPS:
    case BPF_PROG_TYPE_CGROUP_DEVICE:
    case BPF_PROG_TYPE_CGROUP_SYSCTL:
    case BPF_PROG_TYPE_CGROUP_SOCKOPT:
    case BPF_PROG_TYPE_CGROUP_SOCK: return StubShape{Flow::kNone, kAllow, kOneBit};
    case BPF_PROG_TYPE_TRACEPOINT:
    case BPF_PROG_TYPE_RAW_TRACEPOINT:
    case BPF_PROG_TYPE_PERF_EVENT:
    case BPF_PROG_TYPE_KPROBE: return StubShape{};  // uprobes, too
    case BPF_PROG_TYPE_TRACING:
    case BPF_PROG_TYPE_LSM: return StubShape{Flow::kNone, 0, 0};  // fentry and fexit return nothing but 0
    default: return std::nullopt;
  }
}

Status check_stub(const AttachType& type, const Hook& hook) {
  MS_TRY(const uint32_t expected, type.expected_attach_type(hook));
  MS_TRY(const uint32_t program_type, program_type_of(type, hook));
  const bool links = type.swap == SwapMode::kNative || type.swap == SwapMode::kDispatcher;
  const bool decides = program_type == BPF_PROG_TYPE_LSM;  // what a stub that counts answers would not pass on
  const bool at_map = !hook.map.empty();  // its link keeps the map that it was made with
  if (links && !decides && !at_map && stub_shape(program_type, expected)) return {};
  return fail(ErrorCode::kUnsupported, "hooks of type " + std::string(type.name) + (hook.hook.empty() ? "" : " (" + hook.hook + ")") +
                                           " cannot stand behind a dispatcher in this release, so they cannot be swapped together with others");
}

Result<Stub> Stub::load(const AttachType& type, const Hook& hook, int course_fd, bool frags) {
  MS_TRY(const uint32_t expected, type.expected_attach_type(hook));
  MS_TRY(const uint32_t program_type, program_type_of(type, hook));
  const auto shape = stub_shape(program_type, expected);
  if (!shape) return fail(ErrorCode::kUnsupported, "hooks of type " + std::string(type.name) + " cannot stand behind a dispatcher");
  const LibbpfLog log;
  Object object(dispatcher_bpf__open(), dispatcher_bpf__destroy);
  if (!object) return fail_errno(errno, "open the dispatcher");
  bpf_program* const programs[] = {object->progs.dispatch, object->progs.dispatch_xdp, object->progs.dispatch_skb};
  bpf_program* const chosen = programs[static_cast<size_t>(shape->flow)];
  for (bpf_program* program : programs) bpf_program__set_autoload(program, program == chosen);
  bpf_program__set_type(chosen, static_cast<bpf_prog_type>(program_type));
  bpf_program__set_expected_attach_type(chosen, static_cast<bpf_attach_type>(expected));
  if (type.aim != nullptr) MS_CHECK(type.aim(hook, chosen));
  if (frags) bpf_program__set_flags(chosen, bpf_program__flags(chosen) | kXdpHasFrags);
  object->rodata->empty_verdict = object->data->opaque_verdict = shape->empty_verdict;
  object->rodata->verdict_mask = shape->verdict_mask;
  if (course_fd >= 0) {
    if (const int err = bpf_map__reuse_fd(object->maps.course, course_fd); err != 0) return fail_errno(-err, "share the module's word");
  }
  if (const int err = dispatcher_bpf__load(object.get()); err != 0) {
    auto error = fail_errno(-err, "load the dispatcher");
    error.value().context = log.text();
    return error;
  }
  const int program = bpf_program__fd(chosen);
  return Stub(std::move(object), program);
}

int Stub::program() const { return program_; }
int Stub::slots() const { return bpf_map__fd(object_->maps.slots); }

Status Stub::pin(PinGuard& pins, const std::string& dir) const {
  const auto& maps = object_->maps;
  MS_CHECK(pins.pin(bpf_map__fd(maps.slots), dir + "/slots"));
  MS_CHECK(pins.pin(bpf_map__fd(maps.word), dir + "/word"));
  MS_CHECK(pins.pin(bpf_map__fd(maps.course), dir + "/course"));
  MS_CHECK(pins.pin(bpf_map__fd(maps.misses), dir + "/misses"));
  MS_CHECK(pins.pin(bpf_map__fd(maps.sides), dir + "/sides"));
  return pins.pin(program_, dir + "/stub");
}

}  // namespace mapshift
