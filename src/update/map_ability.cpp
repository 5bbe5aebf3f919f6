// SPDX-License-Identifier: Apache-2.0
#include "update/map_ability.h"

#include <algorithm>

namespace mapshift::update {
namespace {

constexpr std::string_view kInStep = "both maps are kept in step";
constexpr std::string_view kSockets = "its entries are sockets, which no one but their owners can put into another map";
constexpr std::string_view kStorage = "its entries belong to objects of the kernel, which give no list of them";
constexpr std::string_view kTargets = "its entries are devices, CPUs or sockets that cannot be read back completely";

}  // namespace

const std::vector<MapKind>& map_kinds() {
  static const std::vector<MapKind> kinds = {
      {MapType::kHash, MapAbility::kSync, kInStep},
      {MapType::kArray, MapAbility::kSync, kInStep},
      {MapType::kPercpuHash, MapAbility::kSync, kInStep},
      {MapType::kPercpuArray, MapAbility::kSync, kInStep},
      {MapType::kLruHash, MapAbility::kSync, "both maps are kept in step, but not which of their keys were used last"},
      {MapType::kLruPercpuHash, MapAbility::kSync, "both maps are kept in step, but not which of their keys were used last"},
      {MapType::kProgArray, MapAbility::kRebuilt, "rebuilt from the new generation's programs"},
      {MapType::kLpmTrie, MapAbility::kSync, "both maps are kept in step, by system calls"},
      {MapType::kArrayOfMaps, MapAbility::kRefilled, "the new one is refilled, and its inner maps are kept in step"},
      {MapType::kHashOfMaps, MapAbility::kRefilled, "the new one is refilled, and its inner maps are kept in step"},
      {MapType::kQueue, MapAbility::kDrained, "what waits in the old one is moved to the new one after the swap"},
      {MapType::kStack, MapAbility::kDrained, "what waits in the old one is moved to the new one after the swap"},
      {MapType::kRingbuf, MapAbility::kRenewed, "a new one, and its consumer reads the old one to its end"},
      {MapType::kPerfEventArray, MapAbility::kRenewed, "a new one, into which its consumer has to put its events"},
      {MapType::kUserRingbuf, MapAbility::kReuseOnly, "its producer is a process that writes to the old one's memory"},
      {MapType::kBloomFilter, MapAbility::kReuseOnly, "nobody can list what was put into it; say \"policy\": \"reset\" to start with an empty one"},
      {MapType::kStackTrace, MapAbility::kReuseOnly,
       "its ids are hashes of call stacks that others may hold; say \"policy\": \"reset\" to start with an empty one"},
      {MapType::kCgroupArray, MapAbility::kReuseOnly, "its entries are control groups, which cannot be read back"},
      {MapType::kDevmap, MapAbility::kReuseOnly, kTargets},
      {MapType::kDevmapHash, MapAbility::kReuseOnly, kTargets},
      {MapType::kCpumap, MapAbility::kReuseOnly, kTargets},
      {MapType::kXskmap, MapAbility::kReuseOnly, kTargets},
      {MapType::kSockmap, MapAbility::kReuseOnly, kSockets},
      {MapType::kSockhash, MapAbility::kReuseOnly, kSockets},
      {MapType::kReuseportSockarray, MapAbility::kReuseOnly, kSockets},
      {MapType::kCgroupStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kPercpuCgroupStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kSkStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kInodeStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kTaskStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kCgrpStorage, MapAbility::kReuseOnly, kStorage},
      {MapType::kStructOps, MapAbility::kReuseOnly, "its value is a table of functions that the kernel holds"},
      {MapType::kArena, MapAbility::kReuseOnly, "its contents are pointers into memory that programs and processes share"},
  };
  return kinds;
}

const MapKind& map_kind(MapType type) {
  static const MapKind unknown{MapType::kUnspec, MapAbility::kReuseOnly, "this release does not know the type"};
  const auto& kinds = map_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const MapKind& kind) { return kind.type == type; });
  return found == kinds.end() ? unknown : *found;
}

}  // namespace mapshift::update
