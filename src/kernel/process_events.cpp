// SPDX-License-Identifier: Apache-2.0
#include "kernel/process_events.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>

#include "kernel/libbpf_log.h"
#include "process_events.skel.h"

namespace mapshift {

struct ProcessEvents::Impl {
  process_events_bpf* object = nullptr;
  ring_buffer* ring = nullptr;
  uint64_t lost_seen = 0;
  Drained drained = {};
};

void ProcessEvents::Close::operator()(Impl* impl) const {
  ring_buffer__free(impl->ring);
  process_events_bpf__destroy(impl->object);
  delete impl;
}

namespace {

int take(void* context, void* record, size_t size) {
  uint32_t pid = 0;
  if (size < sizeof(pid)) return 0;
  std::memcpy(&pid, record, sizeof(pid));
  static_cast<ProcessEvents::Drained*>(context)->executed.push_back(static_cast<int>(pid));
  return 0;
}

tl::unexpected<Error> failed(int err, const char* what, const LibbpfLog& log) {
  auto error = fail_errno(err < 0 ? -err : err, what);
  error.value().context = log.text();
  return error;
}

}  // namespace

Result<ProcessEvents> ProcessEvents::open() {
  const LibbpfLog log;
  std::unique_ptr<Impl, Close> impl(new Impl);
  impl->object = process_events_bpf__open();
  if (impl->object == nullptr) return failed(errno, "open the program that watches for execs", log);
  if (const int err = process_events_bpf__load(impl->object); err != 0)
    return failed(err, "load the program that watches for execs", log);
  if (const int err = process_events_bpf__attach(impl->object); err != 0)
    return failed(err, "attach to the tracepoint sched:sched_process_exec", log);
  impl->ring = ring_buffer__new(bpf_map__fd(impl->object->maps.events), take, &impl->drained, nullptr);
  if (impl->ring == nullptr) return failed(errno, "open the ring buffer of execs", log);
  return ProcessEvents(std::move(impl));
}

int ProcessEvents::fd() const { return ring_buffer__epoll_fd(impl_->ring); }

ProcessEvents::Drained ProcessEvents::drain() {
  impl_->drained = {};
  const int count = ring_buffer__consume(impl_->ring);
  const uint64_t lost = __atomic_load_n(&impl_->object->bss->lost, __ATOMIC_RELAXED);
  impl_->drained.lost = count < 0 || lost != impl_->lost_seen;
  impl_->lost_seen = lost;
  return std::move(impl_->drained);
}

}  // namespace mapshift
