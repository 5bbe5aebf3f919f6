// SPDX-License-Identifier: Apache-2.0
#include "kernel/change_scan.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "changes_scan.skel.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

constexpr uint32_t kHeader = 8;             // struct image_entry
constexpr uint32_t kMaxEntry = 256 * 1024;  // of the image, bytes: what the allocator of elements gives
constexpr uint32_t kSlack = 1024;           // keys that come while others that went are still in the image

uint32_t round8(uint32_t size) { return (size + 7) / 8 * 8; }

Status run(const bpf_program* program) {
  LIBBPF_OPTS(bpf_test_run_opts, options);
  if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) == 0) return {};
  return fail_errno(errno, std::string("run the scan program ") + bpf_program__name(program));
}

}  // namespace

std::string ChangeScan::why_not(const MapStats& shape) {
  switch (shape.type) {
    case MapType::kHash:
    case MapType::kLruHash:
    case MapType::kArray:
    case MapType::kPercpuHash:
    case MapType::kLruPercpuHash:
    case MapType::kPercpuArray: break;
    default: return "the kernel cannot walk a map of type " + to_string(shape.type);  // the kernel's set of types is open
  }
  if (shape.key_size > MS_CHANGE_MAX_KEY) return "its keys have " + std::to_string(shape.key_size) + " bytes, at most " + std::to_string(MS_CHANGE_MAX_KEY) + " are compared";
  if (shape.value_size > MS_CHANGE_MAX_VALUE) return "its values have " + std::to_string(shape.value_size) + " bytes, at most " + std::to_string(MS_CHANGE_MAX_VALUE) + " are compared";
  return {};
}

void ChangeScan::Destroy::operator()(changes_scan_bpf* skeleton) const { changes_scan_bpf::destroy(skeleton); }
ChangeScan::ChangeScan(ChangeScan&&) noexcept = default;
ChangeScan& ChangeScan::operator=(ChangeScan&&) noexcept = default;
ChangeScan::~ChangeScan() = default;

Status ChangeScan::size_and_share(changes_scan_bpf& skeleton, const ChangeLog& log, const Map& map, uint32_t cpus) {
  const MapStats& shape = map.shape();
  const uint32_t entry = kHeader + cpus * round8(shape.value_size);
  if (entry > kMaxEntry) return fail(ErrorCode::kUnsupported, "an image of " + map.name() + " would need " + std::to_string(entry) + " bytes a key");
  const bool fixed = is_array(shape.type);
  const uint64_t entries = fixed ? shape.max_entries : std::min<uint64_t>(2ull * shape.max_entries + kSlack, UINT32_MAX);
  int err = bpf_map__set_type(skeleton.maps.image, fixed ? BPF_MAP_TYPE_ARRAY : BPF_MAP_TYPE_HASH);
  err = err != 0 ? err : bpf_map__set_map_flags(skeleton.maps.image, fixed ? 0 : BPF_F_NO_PREALLOC);
  err = err != 0 ? err : bpf_map__set_key_size(skeleton.maps.image, shape.key_size);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.image, entry);
  err = err != 0 ? err : bpf_map__set_max_entries(skeleton.maps.image, static_cast<uint32_t>(entries));
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.fresh, entry);
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.watched, map.fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_changes, log.ring_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_slots, log.slots_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_lost, log.lost_fd());
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.ms_change_ids, log.ids_fd());
  if (err != 0) return fail_errno(err, "hand the maps to the scan of " + map.name());
  return {};
}

Result<ChangeScan> ChangeScan::open(const ChangeLog& log, uint32_t slot, const Map& map) {
  const MapStats& shape = map.shape();
  if (const std::string reason = why_not(shape); !reason.empty()) return fail(ErrorCode::kUnsupported, map.name() + ": " + reason);
  const int possible = libbpf_num_possible_cpus();
  if (possible <= 0) return fail_errno(possible, "count the possible CPUs");
  const LibbpfLog text;
  Skeleton skeleton(changes_scan_bpf::open());
  if (!skeleton) return fail_errno(errno, "open the scan program");
  const uint32_t cpus = is_percpu(shape.type) ? static_cast<uint32_t>(possible) : 1;
  skeleton->rodata->key_size = shape.key_size;
  skeleton->rodata->value_size = shape.value_size;
  skeleton->rodata->nr_cpus = cpus;
  skeleton->rodata->map_id = shape.id;
  skeleton->rodata->slot = slot;
  skeleton->rodata->percpu = is_percpu(shape.type);
  MS_CHECK(size_and_share(*skeleton, log, map, cpus));
  if (const int err = changes_scan_bpf::load(skeleton.get()); err != 0) {
    auto error = fail_errno(err, "load the scan of " + map.name());
    error.value().context = text.text();
    return error;
  }
  ChangeScan scan(std::move(skeleton), is_array(shape.type));
  scan.skeleton_->bss->baseline = 1;
  MS_CHECK(scan.pass());
  scan.skeleton_->bss->baseline = 0;
  return scan;
}

Result<ScanReport> ChangeScan::pass() {
  auto* bss = skeleton_->bss;
  if (++bss->pass == 0) ++bss->pass;
  bss->visited = bss->reported = bss->deferred = bss->no_memory = 0;
  const Nanos began = monotonic_now();
  MS_CHECK(run(skeleton_->progs.scan));
  // Only when there are more keys in the image than were met, one of them is gone.
  if (!fixed_keys_ && bss->present != bss->visited - std::min(bss->visited, bss->no_memory)) MS_CHECK(run(skeleton_->progs.scan_image));
  return ScanReport{bss->visited, bss->reported, bss->deferred, bss->no_memory, monotonic_now() - began};
}

}  // namespace mapshift
