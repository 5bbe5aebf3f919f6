// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/sides.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <mapshift/course.h>

#include <cerrno>
#include <climits>
#include <vector>

#include "kernel/pin.h"

namespace mapshift {

Result<SideStats> read_side(const std::string& dir, uint32_t slot) {
  MS_TRY(const Fd fd, open_pin(dir + "/sides"));
  std::vector<ms_side> cpus(static_cast<size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_lookup_elem(fd.get(), &slot, cpus.data()) != 0) return fail_errno(errno, "read what " + dir + " counted");
  SideStats out;
  for (const ms_side& cpu : cpus) {
    out.events += cpu.events;
    out.timed += cpu.timed;
    out.run_ns += cpu.ns;
    for (int n = 0; n < MS_VERDICTS; ++n) {
      if (cpu.verdicts[n] != 0) out.verdicts[n == MS_VERDICTS - 1 ? INT_MAX : n + MS_FIRST_VERDICT] += cpu.verdicts[n];
    }
  }
  return out;
}

Status reset_side(const std::string& dir, uint32_t slot) {
  MS_TRY(const Fd fd, open_pin(dir + "/sides"));
  const std::vector<ms_side> zero(static_cast<size_t>(libbpf_num_possible_cpus()));
  if (bpf_map_update_elem(fd.get(), &slot, zero.data(), BPF_ANY) == 0) return {};
  return fail_errno(errno, "reset what " + dir + " counted");
}

Status remove_stub_pins(const std::string& dir) {
  for (const char* name : {"/stub", "/slots", "/word", "/course", "/misses", "/sides"}) MS_CHECK(unpin(dir + name));
  return {};
}

}  // namespace mapshift
