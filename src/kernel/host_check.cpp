// SPDX-License-Identifier: Apache-2.0
#include "kernel/host_check.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>

#include "kernel/attach/probe.h"
#include "kernel/attach/type.h"
#include "kernel/change_probe.h"
#include "kernel/grace.h"
#include "kernel/libbpf_log.h"
#include "kernel/object_spec.h"
#include "kernel/sleepable_grace.h"

namespace mapshift {
namespace {

HostFact fact(std::string name, const Status& tried, std::string how = {}) {
  return {std::move(name), tried.has_value(), tried ? std::move(how) : tried.error().message};
}

HostFact cgroup_fact(const AttachType& type) {
  std::string missing;
  size_t served = 0;
  for (const std::string& hook : cgroup_hooks()) {
    if (probe_attach_type(type, {.type = "cgroup", .hook = hook})) ++served;
    else missing += (missing.empty() ? "not " : ", ") + hook;
  }
  return {"cgroup", served != 0, missing.empty() ? std::to_string(served) + " hooks" : missing};
}

std::vector<HostFact> attach_facts() {
  std::vector<HostFact> facts;
  for (const AttachType& type : attach_types()) {
    facts.push_back(type.name == "cgroup" ? cgroup_fact(type) : fact(std::string(type.name), probe_attach_type(type, sample_hook(type))));
  }
  return facts;
}

std::vector<HostFact> map_facts() {
  const LibbpfLog quiet;
  std::vector<HostFact> facts;
  for (uint32_t number = 1; number <= static_cast<uint32_t>(MapType::kArena); ++number) {
    const auto type = static_cast<MapType>(number);
    const int probed = libbpf_probe_bpf_map_type(static_cast<bpf_map_type>(number), nullptr);
    HostFact found{to_string(type), probed == 1, {}};
    if (probed == 0) found.reason = "this kernel makes no map of this type";
    // libbpf does not know how to try these.
    if (probed < 0) found.reason = std::string("cannot be tried: ") + std::strerror(-probed);
    facts.push_back(std::move(found));
  }
  return facts;
}

std::vector<HostFact> change_facts() {
  return {fact("fexit", try_fexit_probe(), "also keeps synced maps fresh between passes"),
          {"instrumented", true, "what a module's own programs write (MS_LOGGED)"},
          fact("syscall", try_syscall_probe(), "what user space writes"),
          fact("scan", try_map_walk(), "hashes and arrays, shared and per CPU, compared at an interval")};
}

std::vector<HostFact> grace_facts() {
  GracePeriod grace;
  return {fact("non-sleepable", grace.wait(), "an update of an array of maps waits for them"),
          fact("sleepable", check_sleepable_grace(), "the last perf event of a tracepoint waits for them as it closes")};
}

}  // namespace

Result<HostFacts> check_host() {
  MS_CHECK(may_load_programs());
  HostFacts facts;
  utsname name{};
  if (::uname(&name) != 0) return fail_errno(errno, "ask for the kernel's release");
  facts.kernel = name.release;
  facts.attach_types = attach_facts();
  facts.map_types = map_facts();
  facts.change_sources = change_facts();
  facts.grace_periods = grace_facts();
  return facts;
}

}  // namespace mapshift
