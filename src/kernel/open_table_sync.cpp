// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "kernel/pin.h"
#include "kernel/table_sync.h"

namespace mapshift {
namespace {

constexpr uint64_t kSlack = 1024;

Result<Map> open_map_of(const std::string& pin, const SyncSpec& spec, uint32_t value_size) {
  MS_TRY(Map map, Map::open(pin));
  if (map.shape().key_size == spec.key_size && map.shape().value_size == value_size) return map;
  return fail(ErrorCode::kInvalid, "the map pinned at " + pin + " has another form than the plan says: plan the update again");
}

Result<Map> open_base(const SyncSpec& spec, const std::string& pinned) {
  if (pin_exists(pinned)) return open_map_of(pinned, spec, TableSync::base_value_size(spec));
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
  const uint64_t entries = std::min<uint64_t>(spec.max_entries0 + uint64_t{spec.max_entries1} + kSlack, UINT32_MAX);
  Fd fd(bpf_map_create(BPF_MAP_TYPE_HASH, "ms_base", spec.key_size, TableSync::base_value_size(spec), static_cast<uint32_t>(entries), &options));
  if (!fd.valid()) return fail_errno(errno, "create the base of a trie");
  MS_CHECK(pin(fd.get(), pinned));
  return Map::from_fd(std::move(fd), pinned);
}

}  // namespace

Status check_merge_table(const SyncSpec& spec) {
  const auto width = [](uint8_t size) { return size == 1 || size == 2 || size == 4 || size == 8; };
  const bool inside = std::all_of(spec.fields.begin(), spec.fields.end(), [&](const SyncField& field) {
    return width(field.size0) && width(field.size1) && field.offset0 + uint32_t{field.size0} <= spec.value_size0 &&
           field.offset1 + uint32_t{field.size1} <= spec.value_size1 && field.remap >= -1 && field.remap < static_cast<int32_t>(spec.remaps.size()) &&
           field.in_union <= spec.unions.size();
  });
  const bool told = std::all_of(spec.unions.begin(), spec.unions.end(), [&](const SyncUnion& one) {
    return width(one.size0) && width(one.size1) && one.offset0 + uint32_t{one.size0} <= spec.value_size0 && one.offset1 + uint32_t{one.size1} <= spec.value_size1;
  });
  const bool filled = std::all_of(spec.defaults1.begin(), spec.defaults1.end(), [&](const SyncDefault& field) {
    return width(field.size) && field.offset + uint32_t{field.size} <= spec.value_size1;
  });
  return inside && filled && told ? Status{} : fail(ErrorCode::kInternal, "a field of the plan lies outside its value");
}

Status check_table_spec(const SyncSpec& spec) {
  if (spec.fields.size() > kMaxSyncFields || spec.key_size == 0 || spec.key_size > kMaxSyncKeySize || spec.value_size0 == 0 || spec.value_size1 == 0 ||
      std::max(spec.value_size0, spec.value_size1) > kMaxSyncValueSize || spec.key_size1 != 0 || spec.transform || spec.lock0 >= 0 || spec.lock1 >= 0) {
    return fail(ErrorCode::kUnsupported, "a " + to_string(spec.type0) + " is synchronised with the same keys of at most 64 bytes, values of at most 4096, "
                                             "without a lock or a conversion function");
  }
  return check_merge_table(spec);
}

Result<std::unique_ptr<Sync>> open_table_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                              const std::string& sync_dir) {
  MS_CHECK(check_table_spec(spec));
  MS_TRY(Map side0, open_map_of(map0, spec, spec.value_size0));
  MS_TRY(Map side1, open_map_of(map1, spec, spec.value_size1));
  MS_TRY(Map base, open_base(spec, sync_dir + "/base"));
  TableSync::Tables tables{make_map_table(std::move(side0)), make_map_table(std::move(side1)), make_map_table(std::move(base))};
  MS_TRY(auto sync, TableSync::open(spec, std::move(tables)));
  return std::unique_ptr<Sync>(std::move(sync));
}

}  // namespace mapshift
