// SPDX-License-Identifier: Apache-2.0
#include "kernel/change_probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "changes_fexit.skel.h"
#include "changes_syscall.skel.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using OwnedLink = std::unique_ptr<bpf_link, LinkDeleter>;

template <class Skeleton>
struct Destroy {
  void operator()(Skeleton* skeleton) const { Skeleton::destroy(skeleton); }
};

template <class Skeleton>
class Probe final : public ChangeProbe {
 public:
  using Owned = std::unique_ptr<Skeleton, Destroy<Skeleton>>;
  Probe(Owned skeleton, std::vector<OwnedLink> links) : skeleton_(std::move(skeleton)), links_(std::move(links)) {}

  Result<uint64_t> missed() const override {
    uint64_t sum = 0;
    const bpf_program* program = nullptr;
    while ((program = bpf_object__next_program(skeleton_->obj, const_cast<bpf_program*>(program))) != nullptr) {
      if (bpf_program__fd(program) < 0) continue;
      bpf_prog_info info{};
      uint32_t length = sizeof info;
      if (bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &length) != 0) return fail_errno(errno, "read a change probe");
      sum += info.recursion_misses;
    }
    return sum;
  }

 private:
  Owned skeleton_;
  std::vector<OwnedLink> links_;  // goes first
};

tl::unexpected<Error> refused(int err, const std::string& what, const LibbpfLog& text) {
  auto error = fail_errno(err, what);
  error.value().code = ErrorCode::kUnsupported;
  error.value().context = text.text();
  return error;
}

template <class Skeleton>
Status share(Skeleton& skeleton, const ChangeLog& log) {
  int err = bpf_map__reuse_fd(skeleton.maps.ms_changes, log.ring_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_slots, log.slots_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_lost, log.lost_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_ids, log.ids_fd());
  if (err != 0) return fail_errno(err, "hand the maps to a change probe");
  return {};
}

template <class Skeleton>
Result<std::unique_ptr<ChangeProbe>> load_and_attach(typename Probe<Skeleton>::Owned skeleton, const std::string& what,
                                                     const LibbpfLog& text) {
  if (const int err = Skeleton::load(skeleton.get()); err != 0) return refused(err, "the kernel refuses " + what, text);
  std::vector<OwnedLink> links;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton->obj, program)) != nullptr) {
    if (bpf_program__fd(program) < 0) continue;
    OwnedLink link(bpf_program__attach(program));
    if (!link) return refused(errno, "the kernel refuses to attach " + what, text);
    links.push_back(std::move(link));
  }
  return std::make_unique<Probe<Skeleton>>(std::move(skeleton), std::move(links));
}

// Which of the programs' functions this kernel's BTF names; the others are not loaded.
Result<int> keep_known_functions(const changes_fexit_bpf& skeleton) {
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_vmlinux_btf(), btf__free);
  if (!types) return fail(ErrorCode::kUnsupported, "this kernel has no BTF (/sys/kernel/btf/vmlinux)");
  int known = 0;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton.obj, program)) != nullptr) {
    const char* section = bpf_program__section_name(program);
    const char* function = std::strchr(section, '/') + 1;
    const bool there = btf__find_by_name_kind(types.get(), function, BTF_KIND_FUNC) > 0;
    bpf_program__set_autoload(program, there);
    known += there;
  }
  if (known == 0) return fail(ErrorCode::kUnsupported, "this kernel's BTF names none of the functions of map types");
  return known;
}

}  // namespace

Result<std::unique_ptr<ChangeProbe>> open_syscall_probe(const ChangeLog& log) {
  const LibbpfLog text;
  Probe<changes_syscall_bpf>::Owned skeleton(changes_syscall_bpf::open());
  if (!skeleton) return fail_errno(errno, "open the system call probe");
  MS_CHECK(share(*skeleton, log));
  return load_and_attach<changes_syscall_bpf>(std::move(skeleton), "a program on the system call tracepoint of bpf()", text);
}

Result<std::unique_ptr<ChangeProbe>> open_fexit_probe(const ChangeLog& log) {
  const LibbpfLog text;
  Probe<changes_fexit_bpf>::Owned skeleton(changes_fexit_bpf::open());
  if (!skeleton) return fail_errno(errno, "open the fexit probe");
  MS_CHECK(keep_known_functions(*skeleton));
  MS_CHECK(share(*skeleton, log));
  return load_and_attach<changes_fexit_bpf>(std::move(skeleton), "programs at the end of kernel functions (fexit)", text);
}

Status try_syscall_probe() {
  const LibbpfLog text;
  Probe<changes_syscall_bpf>::Owned skeleton(changes_syscall_bpf::open());
  if (!skeleton) return fail_errno(errno, "open the system call probe");
  MS_CHECK(load_and_attach<changes_syscall_bpf>(std::move(skeleton), "a program on the system call tracepoint of bpf()", text));
  return {};
}

Status try_fexit_probe() {
  const LibbpfLog text;
  Probe<changes_fexit_bpf>::Owned skeleton(changes_fexit_bpf::open());
  if (!skeleton) return fail_errno(errno, "open the fexit probe");
  MS_CHECK(keep_known_functions(*skeleton));
  MS_CHECK(load_and_attach<changes_fexit_bpf>(std::move(skeleton), "programs at the end of kernel functions (fexit)", text));
  return {};
}

}  // namespace mapshift
