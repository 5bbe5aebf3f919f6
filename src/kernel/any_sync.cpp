// SPDX-License-Identifier: Apache-2.0
#include "kernel/any_sync.h"

#include "kernel/drain.h"
#include "kernel/refill.h"
#include "kernel/sync.h"
#include "kernel/sync_tables.h"
#include "kernel/table_sync.h"

namespace mapshift {

Result<std::unique_ptr<Sync>> open_any_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                            const std::string& sync_dir) {
  if (spec.by_calls || (spec.type0 == MapType::kLpmTrie && spec.type1 == MapType::kLpmTrie)) return open_table_sync(spec, map0, map1, sync_dir);
  if (spec.type0 == MapType::kQueue || spec.type0 == MapType::kStack) return open_drain(spec, map0, map1, sync_dir);
  if (spec.type0 == MapType::kArrayOfMaps || spec.type0 == MapType::kHashOfMaps) return open_refill(spec, map0, map1, sync_dir);
  return open_linux_sync(spec, map0, map1, sync_dir);
}

Status check_any_sync(const SyncSpec& spec) {
  const bool walked_here = spec.type0 == MapType::kLpmTrie || spec.type0 == MapType::kQueue || spec.type0 == MapType::kStack ||
                           spec.type0 == MapType::kArrayOfMaps || spec.type0 == MapType::kHashOfMaps;
  return walked_here ? Status{} : check_sync_spec(spec);
}

}  // namespace mapshift
