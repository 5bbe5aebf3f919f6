// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <string>

#include "base/result.h"
#include "kernel/libbpf_log.h"
#include "kernel/uprobe.h"

namespace mapshift {

// Loads an opened skeleton whose uprobe programs are to be attached by links of `kind`.
template <class Skeleton>
[[nodiscard]] Status load_uprobes(Skeleton* skeleton, int (*load)(Skeleton*), UprobeLink kind, const std::string& what) {
  const LibbpfLog log;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) {
    if (bpf_program__type(program) != BPF_PROG_TYPE_KPROBE) continue;
    bpf_program__set_expected_attach_type(program, kind == UprobeLink::kMulti ? BPF_TRACE_UPROBE_MULTI : BPF_PERF_EVENT);
  }
  if (const int err = load(skeleton); err != 0) {
    auto error = fail_errno(-err, "load " + what);
    error.value().context = log.text();
    return error;
  }
  return {};
}

}  // namespace mapshift
