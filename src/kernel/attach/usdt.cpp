// SPDX-License-Identifier: Apache-2.0
// Static probes. A program asks libbpf's map `__bpf_usdt_specs`, at the index that its probe's cookie tells, where the arguments are.
// The stub's cookie is seen by what it tail-calls as well, so the map is all that a generation needs: it is reused where nothing
// about it changed, and filled here where it is another one.
#include <bpf/bpf.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "kernel/attach/functions.h"
#include "kernel/attach/perf_probe.h"
#include "kernel/attach/usdt_spec.h"
#include "kernel/program.h"
#include "kernel/uprobe.h"
#include "kernel/user_elf.h"

namespace mapshift {
namespace {

constexpr const char* kSpecs = "__bpf_usdt_spec";  // the kernel keeps 15 characters

std::string name_of(const Hook& hook) { return hook.trace.provider + ":" + hook.name + " of " + hook.path; }

struct Places {
  std::vector<UsdtNote> notes;
  uint16_t machine = 0;
};

Result<Places> places_of(const Hook& hook) {
  MS_TRY(const UserElf elf, UserElf::open(hook.path));
  Places places;
  MS_TRY(places.notes, elf.usdt(hook.trace.provider, hook.name));
  places.machine = elf.machine();
  if (!places.notes.empty()) return places;
  return fail(ErrorCode::kNotFound, "no usdt here: there is no static probe " + name_of(hook));
}

// The map of argument places that a program uses; not valid when it reads no arguments.
Result<Fd> specs_of(const Program& program) {
  MS_TRY(const auto maps, program.maps());
  for (const uint32_t id : maps) {
    Fd map(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (!map.valid() || bpf_map_get_info_by_fd(map.get(), &info, &length) != 0) return fail_errno(errno, "read a map of " + program.name());
    if (std::strcmp(info.name, kSpecs) != 0) continue;
    if (info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(UsdtSpec)) return map;
    return fail(ErrorCode::kUnsupported, program.name() + " was built with a <bpf/usdt.bpf.h> whose form of arguments is not known (" +
                                             std::to_string(info.value_size) + " bytes instead of " + std::to_string(sizeof(UsdtSpec)) + ")");
  }
  return Fd();
}

// Where the map says the same already, else the first element that nobody uses.
Result<uint32_t> put(int map, const UsdtSpec& wanted) {
  std::optional<uint32_t> free;
  UsdtSpec there;
  for (uint32_t i = 0; bpf_map_lookup_elem(map, &i, &there) == 0; ++i) {
    if (std::memcmp(&there, &wanted, sizeof(there)) == 0) return i;
    if (!free && there.taken == 0) free = i;
  }
  if (!free) return fail(ErrorCode::kTooLarge, "the module's programs use more places of static probes than __bpf_usdt_specs holds; define BPF_USDT_MAX_SPEC_CNT larger");
  if (bpf_map_update_elem(map, &*free, &wanted, BPF_ANY) != 0) return fail_errno(errno, "say where a static probe's arguments are");
  return *free;
}

Result<std::vector<uint64_t>> cookies_of(const Hook& hook, const Places& places, const Program& program) {
  MS_TRY(const Fd map, specs_of(program));
  std::vector<uint64_t> cookies;
  for (const UsdtNote& note : places.notes) {
    if (!map.valid()) {
      cookies.push_back(0);
      continue;
    }
    auto spec = parse_usdt_arguments(note.arguments, places.machine);
    if (!spec) return fail(spec.error().code, "no usdt here: " + name_of(hook) + ": " + spec.error().message);
    MS_TRY(const uint32_t index, put(map.get(), *spec));
    cookies.push_back(index);
  }
  return cookies;
}

Result<Fd> link_all(const Hook& hook, const Places& places, const std::vector<uint64_t>& cookies, int program_fd) {
  std::vector<unsigned long> offsets, semaphores;
  for (const UsdtNote& note : places.notes) {
    offsets.push_back(note.offset);
    semaphores.push_back(note.semaphore);
  }
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.uprobe_multi.path = hook.path.c_str();
  options.uprobe_multi.offsets = offsets.data();
  options.uprobe_multi.ref_ctr_offsets = semaphores.data();
  options.uprobe_multi.cookies = reinterpret_cast<const __u64*>(cookies.data());
  options.uprobe_multi.cnt = static_cast<uint32_t>(offsets.size());
  options.uprobe_multi.pid = static_cast<uint32_t>(hook.trace.pid);
  Fd link(bpf_link_create(program_fd, 0, BPF_TRACE_UPROBE_MULTI, &options));
  if (!link.valid()) return fail_errno(errno, "attach to the static probe " + name_of(hook));
  return link;
}

}  // namespace

// libbpf loads programs of "usdt" sections for that type where the kernel has it, whatever it is told.
Result<uint32_t> usdt_attach_type(const Hook&) {
  return best_uprobe_link() == UprobeLink::kMulti ? static_cast<uint32_t>(BPF_TRACE_UPROBE_MULTI) : 0u;
}

Status check_usdt(const Hook& hook) {
  MS_CHECK(places_of(hook));
  return {};
}

Result<std::vector<Fd>> open_usdt_links(const Hook& hook, int program_fd, const Program& behind) {
  MS_TRY(const Places places, places_of(hook));
  MS_TRY(const auto cookies, cookies_of(hook, places, behind));
  std::vector<Fd> links;
  if (best_uprobe_link() == UprobeLink::kMulti) {
    MS_TRY(Fd link, link_all(hook, places, cookies, program_fd));
    links.push_back(std::move(link));
    return links;
  }
  const std::string what = "attach to the static probe " + name_of(hook);
  for (size_t i = 0; i < places.notes.size(); ++i) {
    const UsdtNote& note = places.notes[i];
    MS_TRY(const Fd event, open_perf_probe({.unit = "uprobe", .target = hook.path, .offset = note.offset, .semaphore = note.semaphore, .pid = hook.trace.pid}));
    MS_TRY(Fd link, link_perf_event(program_fd, event.get(), cookies[i], what));
    links.push_back(std::move(link));
  }
  return links;
}

Status before_usdt_swap(const Program& from, const Program& to) {
  MS_TRY(const Fd old_map, specs_of(from));
  MS_TRY(const Fd new_map, specs_of(to));
  if (!new_map.valid()) return {};
  if (!old_map.valid()) {
    return fail(ErrorCode::kRefused, to.name() + " reads arguments of its static probe, and " + from.name() + ", which was attached first, did not: give the program another name, so that it is attached anew");
  }
  UsdtSpec spec;
  for (uint32_t i = 0; bpf_map_lookup_elem(old_map.get(), &i, &spec) == 0; ++i) {
    if (spec.taken == 0) continue;
    UsdtSpec there;
    if (bpf_map_lookup_elem(new_map.get(), &i, &there) == 0 && there.taken != 0 && std::memcmp(&there, &spec, sizeof spec) != 0) {
      return fail(ErrorCode::kRefused, to.name() + " needs a place in __bpf_usdt_specs that another probe of its generation took: give the program with the new probe another name, so that it is attached anew");
    }
    if (bpf_map_update_elem(new_map.get(), &i, &spec, BPF_ANY) != 0) return fail_errno(errno, "say to " + to.name() + " where its static probe's arguments are");
  }
  return {};
}

}  // namespace mapshift
