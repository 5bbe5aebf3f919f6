// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "kernel/attach/functions.h"
#include "kernel/user_elf.h"

namespace mapshift {
namespace {

constexpr size_t kMaxFunctions = 4096;

// The list of what can be probed this way: a name a line, with its module in brackets where it is of one.
Result<std::vector<std::string>> functions(const Hook& hook) {
  std::ifstream list("/sys/kernel/tracing/available_filter_functions");
  if (!list) list.open("/sys/kernel/debug/tracing/available_filter_functions");
  if (!list) return fail(ErrorCode::kUnsupported, "this kernel has no " + hook.type + ": tracefs shows no available_filter_functions (is it mounted at /sys/kernel/tracing?)");
  std::vector<std::string> found;
  for (std::string line; std::getline(list, line);) {
    line.resize(std::min(line.size(), line.find_first_of(" \t")));
    if (!matches_pattern(hook.name, line)) continue;
    if (found.size() == kMaxFunctions) return fail(ErrorCode::kTooLarge, "more than " + std::to_string(kMaxFunctions) + " functions of the kernel match \"" + hook.name + "\"");
    found.push_back(std::move(line));
  }
  std::ranges::sort(found);
  const auto same = std::ranges::unique(found);
  found.erase(same.begin(), same.end());
  if (!found.empty()) return found;
  return fail(ErrorCode::kNotFound, "no " + hook.type + " here: this kernel has no function \"" + hook.name + "\" that can be probed");
}

// A link to a function that is not there: which error it is tells whether the kernel got so far as to look for it.
bool kernel_has_links() {
  static const bool has = [] {
    const std::array<bpf_insn, 2> code{bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0}, bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, load, .expected_attach_type = BPF_TRACE_KPROBE_MULTI);
    const Fd program(bpf_prog_load(BPF_PROG_TYPE_KPROBE, "ms_probe", "GPL", code.data(), code.size(), &load));
    const char* nobody = "ms_no_such_function";
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.kprobe_multi.syms = &nobody;
    options.kprobe_multi.cnt = 1;
    const Fd link(bpf_link_create(program.get(), 0, BPF_TRACE_KPROBE_MULTI, &options));
    return program.valid() && (errno == ESRCH || errno == ENOENT);
  }();
  return has;
}

}  // namespace

Result<uint32_t> kprobe_multi_attach_type(const Hook&) { return BPF_TRACE_KPROBE_MULTI; }

Status check_kprobe_multi(const Hook& hook) {
  if (!kernel_has_links()) {
    return fail(ErrorCode::kUnsupported, "this kernel has no " + hook.type + " (CONFIG_FPROBE): use a \"" +
        hook.type.substr(0, hook.type.find('_')) + "\" for each function");
  }
  MS_CHECK(functions(hook));
  return {};
}

Result<Fd> open_kprobe_multi_link(const Hook& hook, int program_fd) {
  MS_TRY(const auto names, functions(hook));
  std::vector<const char*> symbols;
  for (const std::string& name : names) symbols.push_back(name.c_str());
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.kprobe_multi.syms = symbols.data();
  options.kprobe_multi.cnt = static_cast<uint32_t>(symbols.size());
  options.kprobe_multi.flags = hook.type == "kretprobe_multi" ? BPF_F_KPROBE_MULTI_RETURN : 0;
  Fd link(bpf_link_create(program_fd, 0, BPF_TRACE_KPROBE_MULTI, &options));
  if (link.valid()) return link;
  return fail_errno(errno, "attach " + std::to_string(names.size()) + " probes to \"" + hook.name + "\"");
}

}  // namespace mapshift
