// SPDX-License-Identifier: Apache-2.0
#include "kernel/count.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <memory>

#include "count.skel.h"
#include "kernel/libbpf_log.h"

namespace mapshift {

Result<uint64_t> count_in_kernel(int map_fd) {
  const LibbpfLog log;
  const std::unique_ptr<count_bpf, void (*)(count_bpf*)> object(count_bpf__open(), count_bpf__destroy);
  if (!object) return fail_errno(errno, "open the counting program");
  int err = bpf_map__reuse_fd(object->maps.counted, map_fd);
  if (err == 0) err = count_bpf__load(object.get());
  if (err != 0) {
    auto error = fail_errno(err, "load the counting program");
    error.value().context = log.text();
    return error;
  }
  LIBBPF_OPTS(bpf_test_run_opts, run);
  if (bpf_prog_test_run_opts(bpf_program__fd(object->progs.count), &run) != 0) {
    return fail_errno(errno, "run the counting program");
  }
  return run.retval;
}

}  // namespace mapshift
