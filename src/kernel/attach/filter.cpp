// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/filter.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernel/attach/filter_list.h"
#include "kernel/attach/functions.h"
#include "kernel/libbpf_log.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

// Ids are given out again. All three together name one load of one program.
struct Identity {
  uint32_t id = 0, reserved = 0;
  uint64_t loaded_at = 0;
  std::array<uint8_t, BPF_TAG_SIZE> tag{};
  bool operator==(const Identity&) const = default;
};

struct FilterPlace {
  std::array<char, IF_NAMESIZE> interface{};
  int32_t index = 0;
  uint32_t point = 0;  // enum bpf_tc_attach_point
  uint32_t priority = 0, handle = 0;
  uint32_t made_qdisc = 0, reserved = 0;
  Identity program, next;  // `next` is set while a swap is under way

  [[nodiscard]] std::string text() const {
    return std::string(interface.data()) + (point == BPF_TC_INGRESS ? " ingress" : " egress") + " priority " + std::to_string(priority) +
           " handle " + std::to_string(handle);
  }
};

Result<Identity> identity_of(int fd) {
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (bpf_prog_get_info_by_fd(fd, &info, &length) != 0) return fail_errno(errno, "read a program's identity");
  Identity identity{info.id, 0, info.load_time, {}};
  std::copy(std::begin(info.tag), std::end(info.tag), identity.tag.begin());
  return identity;
}

Result<uint32_t> point_of(const Hook& hook) {
  if (hook.direction == "ingress") return BPF_TC_INGRESS;
  if (hook.direction == "egress") return BPF_TC_EGRESS;
  return fail(ErrorCode::kInvalid, "the tc direction \"" + hook.direction + "\" is not one of ingress, egress");
}

bpf_tc_hook hook_at(const FilterPlace& place) {
  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = place.index, .attach_point = static_cast<bpf_tc_attach_point>(place.point));
  return hook;
}

Status write_place(int map, const FilterPlace& place) {
  const uint32_t zero = 0;
  if (bpf_map_update_elem(map, &zero, &place, BPF_ANY) == 0) return {};
  return fail_errno(errno, "remember the filter at " + place.text());
}

Result<FilterPlace> read_place(int map) {
  const uint32_t zero = 0;
  FilterPlace place;
  if (bpf_map_lookup_elem(map, &zero, &place) != 0) return fail_errno(errno, "read where a filter is");
  place.interface.back() = '\0';
  return place;
}

Status check_interface(const FilterPlace& place) {
  std::array<char, IF_NAMESIZE> name{};  // it may have been renamed
  if (::if_indextoname(static_cast<unsigned>(place.index), name.data()) != nullptr) return {};
  return fail(ErrorCode::kConflict, "the filter at " + place.text() + " is no longer attached: its interface is gone");
}

// 0: no filter there.
Result<uint32_t> program_at(const FilterPlace& place) {
  const LibbpfLog quiet;
  const bpf_tc_hook hook = hook_at(place);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = place.handle, .priority = place.priority);
  const int err = -bpf_tc_query(&hook, &options);
  if (err == 0) return options.prog_id;
  if (err == ENOENT || err == EINVAL || err == ENODEV) return 0u;
  return fail_errno(err, "ask for the filter at " + place.text());
}

// As the kernel does it: before all others.
Result<uint32_t> free_priority(const FilterPlace& place) {
  constexpr uint32_t kFirst = 0xc000;
  MS_TRY(const auto filters, list_filters(place.index, place.point == BPF_TC_INGRESS));
  uint32_t lowest = kFirst + 1;
  for (const FilterAt& filter : filters) lowest = std::min(lowest, filter.priority);
  if (lowest > 1) return lowest - 1;
  return fail(ErrorCode::kConflict, place.text() + ": a filter has priority 1, so none is free before it; give \"priority\"");
}

Result<bool> make_qdisc(const FilterPlace& place) {
  const LibbpfLog quiet;
  bpf_tc_hook hook = hook_at(place);
  const int err = -bpf_tc_hook_create(&hook);
  if (err == 0 || err == EEXIST) return err == 0;
  return fail_errno(err, std::string("make a clsact qdisc at ") + place.interface.data());
}

Status put_filter(const FilterPlace& place, int program, uint32_t flags) {
  const LibbpfLog log;
  const bpf_tc_hook hook = hook_at(place);
  LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = program, .flags = flags, .handle = place.handle, .priority = place.priority);
  const int err = -bpf_tc_attach(&hook, &options);
  if (err == 0) return {};
  if (err == EEXIST) {
    const auto there = program_at(place);
    return fail(Error{ErrorCode::kConflict, err, place.text() + " is taken by " + (there && *there != 0 ? describe_program(*there) :
        std::string("another filter")) + ": give another priority or handle, or remove it", {}, {}});
  }
  auto error = fail_errno(err, "attach a filter at " + place.text());
  error.value().context = log.text();
  return error;
}

// Leaves what is not ours.
Status take_filter(const FilterPlace& place) {
  MS_TRY(const uint32_t id, program_at(place));
  if (id == 0) return {};
  const Fd program(bpf_prog_get_fd_by_id(id));
  if (!program.valid()) return {};
  MS_TRY(const Identity there, identity_of(program.get()));
  if (there != place.program && there != place.next) return {};
  const LibbpfLog quiet;
  const bpf_tc_hook hook = hook_at(place);
  LIBBPF_OPTS(bpf_tc_opts, options, .handle = place.handle, .priority = place.priority);
  const int err = -bpf_tc_detach(&hook, &options);
  if (err == 0 || err == ENOENT) return {};
  return fail_errno(err, "detach the filter at " + place.text());
}

// Another filter of the module on the same interface inherits the qdisc that we made.
Status hand_over(const std::string& dir, const FilterPlace& place) {
  const std::filesystem::path path(dir);
  MS_TRY(const auto hooks, list_pins(path.parent_path().string()));
  for (const std::string& name : hooks) {
    const std::string other = (path.parent_path() / name / "place").string();
    if (name == path.filename().string() || !pin_exists(other)) continue;
    MS_TRY(const Fd map, open_pin(other));
    MS_TRY(FilterPlace neighbour, read_place(map.get()));
    if (neighbour.index != place.index) continue;
    neighbour.made_qdisc = 1;
    return write_place(map.get(), neighbour);
  }
  return {};
}

Status take_qdisc(const std::string& dir, const FilterPlace& place) {
  if (place.made_qdisc == 0) return {};
  for (const bool ingress : {true, false}) {
    MS_TRY(const auto filters, list_filters(place.index, ingress));
    if (!filters.empty()) return hand_over(dir, place);
  }
  const LibbpfLog quiet;
  bpf_tc_hook hook = hook_at(place);
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int err = -bpf_tc_hook_destroy(&hook);
  if (err == 0 || err == ENOENT || err == EINVAL) return {};
  return fail_errno(err, std::string("remove the clsact qdisc of ") + place.interface.data());
}

}  // namespace

// The filter is programmed directly: expected attach types are for links.
Result<uint32_t> tc_attach_type(const Hook& hook) {
  MS_CHECK(point_of(hook));
  return 0u;
}

Status check_tc(const Hook& hook) {
  MS_CHECK(point_of(hook));
  MS_CHECK(interface_index(hook.interface));
  return {};
}

bool FilterHook::is_at(const std::string& dir) { return pin_exists(dir + "/place"); }

Status FilterHook::attach(const Hook& hook, const Program& program) const {
  MS_CHECK(detach());  // of an attach that died half-way
  FilterPlace place;
  MS_TRY(place.index, interface_index(hook.interface));
  MS_TRY(place.point, point_of(hook));
  hook.interface.copy(place.interface.data(), place.interface.size() - 1);
  place.priority = hook.priority;
  place.handle = hook.handle != 0 ? hook.handle : 1;
  if (place.priority == 0) {
    MS_TRY(place.priority, free_priority(place));
  }
  MS_TRY(place.program, identity_of(program.fd()));
  const Fd map(bpf_map_create(BPF_MAP_TYPE_ARRAY, "ms_filter", sizeof(uint32_t), sizeof place, 1, nullptr));
  if (!map.valid()) return fail_errno(errno, "make a map that remembers a filter");
  MS_CHECK(write_place(map.get(), place));
  PinGuard pins;
  MS_CHECK(pins.pin(map.get(), dir_ + "/place"));
  MS_TRY(const bool made, make_qdisc(place));
  place.made_qdisc = made ? 1 : 0;
  Status attached = write_place(map.get(), place);
  if (attached) attached = put_filter(place, program.fd(), 0);
  if (attached) attached = pins.pin(map.get(), dir_ + "/link");
  if (!attached) {
    (void)detach();  // the first error says more
    return attached;
  }
  pins.keep();
  return {};
}

Result<SwapReport> FilterHook::swap(const Program& from, const Program& to) const {
  MS_TRY(const Fd map, open_pin(dir_ + "/link"));
  MS_TRY(FilterPlace place, read_place(map.get()));
  MS_TRY(place.next, identity_of(to.fd()));
  MS_CHECK(write_place(map.get(), place));
  MS_CHECK(check_interface(place));
  // `from` is held open, so its id is nobody else's.
  MS_TRY(const uint32_t there, program_at(place));
  if (there != from.id()) {
    return fail(ErrorCode::kConflict, "the filter at " + place.text() + " is " + (there == 0 ? "gone" : describe_program(there)) + ", not " +
        describe_program(from.id()) + ": somebody else changed it");
  }
  SwapReport report{monotonic_now(), {}};
  const Status put = put_filter(place, to.fd(), BPF_TC_F_REPLACE);
  report.ended = monotonic_now();
  MS_CHECK(put);
  place.program = place.next;
  place.next = {};
  MS_CHECK(write_place(map.get(), place));
  return report;
}

Result<uint32_t> FilterHook::running() const {
  MS_TRY(const Fd map, open_pin(dir_ + "/link"));
  MS_TRY(const FilterPlace place, read_place(map.get()));
  MS_CHECK(check_interface(place));
  MS_TRY(const uint32_t id, program_at(place));
  if (id != 0) return id;
  return fail(ErrorCode::kConflict, "the filter at " + place.text() + " is gone: somebody else removed it");
}

Result<bool> FilterHook::place_gone() const {
  MS_TRY(const Fd map, open_pin(dir_ + "/place"));
  MS_TRY(const FilterPlace place, read_place(map.get()));
  return !check_interface(place).has_value();
}

Status FilterHook::detach() const {
  if (!is_at(dir_)) return remove_pins(dir_);
  MS_TRY(const Fd map, open_pin(dir_ + "/place"));
  MS_TRY(const FilterPlace place, read_place(map.get()));
  MS_CHECK(unpin(dir_ + "/link"));  // first, as with links: where it is pinned, the hook runs
  if (check_interface(place)) {
    MS_CHECK(take_filter(place));
    MS_CHECK(take_qdisc(dir_, place));
  }
  return remove_pins(dir_);
}

}  // namespace mapshift
