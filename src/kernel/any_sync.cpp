// SPDX-License-Identifier: Apache-2.0
#include "kernel/any_sync.h"

#include "kernel/drain.h"
#include "kernel/refill.h"
#include "kernel/sync.h"
#include "kernel/sync_tables.h"
#include "kernel/table_sync.h"

namespace mapshift {
namespace {

enum class Means : uint8_t { kEngine, kCalls, kDrain, kRefill };

Means means_for(const SyncSpec& spec) {
  if (spec.by_calls || (spec.type0 == MapType::kLpmTrie && spec.type1 == MapType::kLpmTrie)) return Means::kCalls;
  if (spec.type0 == MapType::kQueue || spec.type0 == MapType::kStack) return Means::kDrain;
  if (spec.type0 == MapType::kArrayOfMaps || spec.type0 == MapType::kHashOfMaps) return Means::kRefill;
  return Means::kEngine;
}

Status check_as_they_are(const SyncSpec& spec) {
  if (spec.type0 == spec.type1 && spec.key_size1 == 0 && !spec.transform) return {};
  return fail(ErrorCode::kUnsupported, "a " + to_string(spec.type0) + " keeps its type and its keys, and no function converts what is in it");
}

}  // namespace

Status check_any_sync(const SyncSpec& spec) {
  switch (means_for(spec)) {
    case Means::kEngine: return check_sync_spec(spec);
    case Means::kCalls: return check_table_spec(spec);
    case Means::kDrain:
      MS_CHECK(check_as_they_are(spec));
      return check_merge_table(spec);
    case Means::kRefill: break;
  }
  MS_CHECK(check_as_they_are(spec));
  return spec.inner ? check_any_sync(*spec.inner) : Status{};
}

Result<std::unique_ptr<Sync>> open_any_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                            const std::string& sync_dir) {
  MS_CHECK(check_any_sync(spec));
  switch (means_for(spec)) {
    case Means::kEngine: break;
    case Means::kCalls: return open_table_sync(spec, map0, map1, sync_dir);
    case Means::kDrain: return open_drain(spec, map0, map1, sync_dir);
    case Means::kRefill: return open_refill(spec, map0, map1, sync_dir);
  }
  return open_linux_sync(spec, map0, map1, sync_dir);
}

}  // namespace mapshift
