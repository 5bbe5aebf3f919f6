// SPDX-License-Identifier: Apache-2.0
#include "kernel/grace.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <cstdint>

namespace mapshift {

Status GracePeriod::wait() {
  {
    const std::lock_guard lock(mutex_);
    if (!outer_.valid()) MS_CHECK(make_maps());
  }
  const uint32_t zero = 0;
  const int inner = inner_.get();
  if (bpf_map_update_elem(outer_.get(), &zero, &inner, BPF_ANY) != 0) return fail_errno(errno, "wait for running programs");
  return {};
}

Status GracePeriod::make_maps() {
  Fd inner(bpf_map_create(BPF_MAP_TYPE_ARRAY, "ms_grace_in", 4, 4, 1, nullptr));
  if (!inner.valid()) return fail_errno(errno, "make a map to wait for running programs");
  LIBBPF_OPTS(bpf_map_create_opts, options, .inner_map_fd = static_cast<uint32_t>(inner.get()));
  Fd outer(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "ms_grace", 4, 4, 1, &options));
  if (!outer.valid()) return fail_errno(errno, "make a map to wait for running programs");
  inner_ = std::move(inner);
  outer_ = std::move(outer);
  return {};
}

}  // namespace mapshift
