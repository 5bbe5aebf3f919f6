// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/uprobe.h"
#include "kernel/user_elf.h"

namespace mapshift {
namespace {

bool at_return(const Hook& hook) { return hook.type == "uretprobe_multi"; }

Result<std::vector<unsigned long>> places(const Hook& hook) {
  MS_TRY(const UserElf elf, UserElf::open(hook.path));
  if (at_return(hook)) MS_CHECK(refuse_go_returns(hook, elf.is_go()));
  MS_TRY(const auto found, elf.functions([&](std::string_view name) { return matches_pattern(hook.trace.symbol, name); }));
  std::vector<unsigned long> offsets;
  for (const UserFunction& function : found) {
    if (!function.resolver) offsets.push_back(function.offset);
  }
  std::ranges::sort(offsets);
  const auto same = std::ranges::unique(offsets);
  offsets.erase(same.begin(), same.end());
  if (!offsets.empty()) return offsets;
  return fail(ErrorCode::kNotFound, "no " + hook.type + " here: " + hook.path + " has no function \"" + hook.trace.symbol + "\" in its tables of symbols");
}

}  // namespace

Result<uint32_t> uprobe_multi_attach_type(const Hook&) { return BPF_TRACE_UPROBE_MULTI; }

Status check_uprobe_multi(const Hook& hook) {
  if (best_uprobe_link() != UprobeLink::kMulti) {
    return fail(ErrorCode::kUnsupported, "this kernel has no " + hook.type + " (Linux 6.6 has it): use a \"" +
        hook.type.substr(0, hook.type.find('_')) + "\" for each function");
  }
  MS_CHECK(places(hook));
  return {};
}

Result<Fd> open_uprobe_multi_link(const Hook& hook, int program_fd) {
  MS_TRY(const auto offsets, places(hook));
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.uprobe_multi.path = hook.path.c_str();
  options.uprobe_multi.offsets = offsets.data();
  options.uprobe_multi.cnt = static_cast<uint32_t>(offsets.size());
  options.uprobe_multi.pid = static_cast<uint32_t>(hook.trace.pid);
  options.uprobe_multi.flags = at_return(hook) ? BPF_F_UPROBE_MULTI_RETURN : 0;
  Fd link(bpf_link_create(program_fd, 0, BPF_TRACE_UPROBE_MULTI, &options));
  if (!link.valid()) return fail_errno(errno, "attach " + std::to_string(offsets.size()) + " probes to " + hook.path);
  return link;
}

}  // namespace mapshift
