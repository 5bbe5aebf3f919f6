// SPDX-License-Identifier: Apache-2.0
// From a link to the hook that a manifest would name.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "kernel/adopt.h"
#include "kernel/attach/type.h"
#include "kernel/program.h"

namespace mapshift {
namespace {

// Newer than some headers: BPF_LINK_TYPE_TCX since Linux 6.6, BPF_LINK_TYPE_NETKIT since 6.7.
constexpr uint32_t kTcxLink = 11, kNetkitLink = 13;
constexpr uint32_t kMaxAtOnePlace = 64;  // programs on one side of an interface (BPF_MPROG_MAX)

// All of these begin with an interface's index, and those that have one follow with the attach type.
struct InterfaceInfo {
  uint32_t index, attach_type;
};
InterfaceInfo interface_of(const bpf_link_info& info) {
  InterfaceInfo out;
  std::memcpy(&out, &info.xdp, sizeof out);
  return out;
}

Result<std::string> interface_name(uint32_t index) {
  std::array<char, IF_NAMESIZE> name{};
  if (index == 0) return fail(ErrorCode::kConflict, "its interface is gone");
  if (::if_indextoname(index, name.data()) != nullptr) return std::string(name.data());
  return fail(ErrorCode::kUnsupported, "its interface, number " + std::to_string(index) + ", is not in the agent's network namespace");
}

Result<Hook> xdp_hook(const bpf_link_info& info) {
  Hook hook{.type = "xdp", .mode = "auto"};
  MS_TRY(hook.interface, interface_name(info.xdp.ifindex));
  uint32_t here = 0;
  if (bpf_xdp_query_id(static_cast<int>(info.xdp.ifindex), 0, &here) == 0 && here == info.prog_id) return hook;
  return fail(ErrorCode::kUnsupported, "its interface is not in the agent's network namespace");
}

Result<Hook> interface_hook(const bpf_link_info& info) {
  const InterfaceInfo at = interface_of(info);
  Hook hook{.type = info.type == kTcxLink ? "tcx" : "netkit"};
  MS_TRY(hook.interface, interface_name(at.index));
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  for (const char* direction : {"ingress", "egress", "primary", "peer"}) {
    hook.direction = direction;
    if (type->expected_attach_type(hook).value_or(UINT32_MAX) != at.attach_type) continue;
    std::array<uint32_t, kMaxAtOnePlace> programs{}, links{};
    LIBBPF_OPTS(bpf_prog_query_opts, query, .prog_cnt = kMaxAtOnePlace);
    query.prog_ids = programs.data();  // without it the kernel says nothing of links either (bpf_mprog_query())
    query.link_ids = links.data();
    const int err = bpf_prog_query_opts(static_cast<int>(at.index), static_cast<bpf_attach_type>(at.attach_type), &query);
    if (err == 0 && std::ranges::find(links, info.id) != links.end()) return hook;
    return fail(ErrorCode::kUnsupported, "its interface is not in the agent's network namespace");
  }
  return fail(ErrorCode::kUnsupported, "its attach type " + std::to_string(at.attach_type) + " is not served");
}

// A cgroup's id is a handle that its file system opens.
Result<std::string> cgroup_path(uint64_t id) {
  constexpr int kKernfsHandle = 0xfe;  // FILEID_KERNFS
  alignas(file_handle) std::array<std::byte, sizeof(file_handle) + sizeof id> bytes{};
  auto* handle = reinterpret_cast<file_handle*>(bytes.data());
  handle->handle_bytes = sizeof id;
  handle->handle_type = kKernfsHandle;
  std::memcpy(bytes.data() + sizeof(file_handle), &id, sizeof id);
  if (id == 0) return fail(ErrorCode::kConflict, "its cgroup is gone");
  for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    const Fd root(::open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct statfs fs {};
    if (!root.valid() || ::fstatfs(root.get(), &fs) != 0 || fs.f_type != CGROUP2_SUPER_MAGIC) continue;
    const Fd found(::open_by_handle_at(root.get(), handle, O_RDONLY | O_CLOEXEC));
    if (!found.valid()) continue;
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(found.get()), error);
    if (!error) return path.string();
  }
  return fail(ErrorCode::kUnsupported, "its cgroup, number " + std::to_string(id) + ", cannot be found below /sys/fs/cgroup");
}

Result<Hook> cgroup_hook(const bpf_link_info& info) {
  Hook hook{.type = "cgroup"};
  MS_TRY(hook.path, cgroup_path(info.cgroup.cgroup_id));
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  for (const std::string& name : cgroup_hooks()) {
    hook.hook = name;
    if (type->expected_attach_type(hook).value_or(UINT32_MAX) == info.cgroup.attach_type) return hook;
  }
  return fail(ErrorCode::kUnsupported, "its cgroup hook, number " + std::to_string(info.cgroup.attach_type) + ", is not served");
}

bool is_namespace(const std::string& path, uint32_t inode) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && info.st_ino == inode;
}

Result<Hook> namespace_hook(const bpf_link_info& info) {
  Hook hook;
  for (const char* type : {"sk_lookup", "flow_dissector"}) {
    MS_TRY(const AttachType* found, find_attach_type(type));
    if (found->expected_attach_type({.type = type}).value_or(UINT32_MAX) == info.netns.attach_type) hook.type = type;
  }
  if (hook.type.empty()) return fail(ErrorCode::kUnsupported, "its network namespace's hook is not served");
  if (info.netns.netns_ino == 0) return fail(ErrorCode::kConflict, "its network namespace is gone");
  if (is_namespace("/proc/thread-self/ns/net", info.netns.netns_ino)) return hook;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/run/netns", error)) {
    hook.path = entry.path().string();
    if (is_namespace(hook.path, info.netns.netns_ino)) return hook;
  }
  return fail(ErrorCode::kUnsupported, "its network namespace is neither the agent's nor one of /run/netns");
}

Result<Hook> hook_of(const bpf_link_info& info) {
  switch (info.type) {
    case BPF_LINK_TYPE_XDP: return xdp_hook(info);
    case BPF_LINK_TYPE_CGROUP: return cgroup_hook(info);
    case BPF_LINK_TYPE_NETNS: return namespace_hook(info);
    case kTcxLink:
    case kNetkitLink: return interface_hook(info);
    case BPF_LINK_TYPE_RAW_TRACEPOINT:
    case BPF_LINK_TYPE_TRACING:
    case 7:  // perf events: tracepoints and probes
      return fail(ErrorCode::kUnsupported, "the kernel does not replace the program of a tracing link, and mapshift's dispatcher is not in front of "
                  "it; load the module with `mapshift load` and end the other");
    default:
      return fail(ErrorCode::kUnsupported, "links of type " + std::to_string(info.type) + " are not served");
  }
}

// The function's name in the program's BTF: the kernel's own is cut.
std::string function_name(int program_fd, const bpf_prog_info& seen) {
  std::string name(seen.name, strnlen(seen.name, sizeof seen.name));
  if (seen.btf_id == 0 || seen.nr_func_info == 0 || seen.func_info_rec_size < sizeof(bpf_func_info)) return name;
  std::vector<std::byte> record(seen.func_info_rec_size);
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  info.nr_func_info = 1;
  info.func_info_rec_size = seen.func_info_rec_size;
  info.func_info = reinterpret_cast<uint64_t>(record.data());
  if (bpf_prog_get_info_by_fd(program_fd, &info, &length) != 0) return name;
  bpf_func_info function{};
  std::memcpy(&function, record.data(), sizeof function);
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_from_kernel_by_id(seen.btf_id), btf__free);
  const btf_type* type = types ? btf__type_by_id(types.get(), function.type_id) : nullptr;
  const char* whole = type != nullptr ? btf__name_by_offset(types.get(), type->name_off) : nullptr;
  return whole != nullptr && std::string_view(whole).starts_with(name) ? whole : name;
}

}  // namespace

Result<std::string> program_name(int program_fd) {
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (bpf_prog_get_info_by_fd(program_fd, &info, &length) != 0) return fail_errno(errno, "read a program");
  return function_name(program_fd, info);
}

Result<LinkedProgram> read_link(int link_fd, uint32_t id) {
  bpf_link_info info{};
  uint32_t length = sizeof info;
  if (bpf_link_get_info_by_fd(link_fd, &info, &length) != 0) return fail_errno(errno, "read link " + std::to_string(id));
  auto hook = hook_of(info);
  if (!hook) {
    Error error = hook.error();
    error.message = "link " + std::to_string(id) + " (" + describe_program(info.prog_id) + ") cannot be adopted: " + error.message;
    return fail(std::move(error));
  }
  LinkedProgram out{id, info.prog_id, {}, std::move(*hook)};
  const Fd program(bpf_prog_get_fd_by_id(info.prog_id));
  if (!program.valid()) return fail_errno(errno, "open " + describe_program(info.prog_id));
  MS_TRY(out.name, program_name(program.get()));
  return out;
}

}  // namespace mapshift
