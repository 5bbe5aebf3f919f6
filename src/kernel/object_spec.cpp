// SPDX-License-Identifier: Apache-2.0
#include "kernel/object_spec.h"

#include "mapshift/changes.h"

namespace mapshift {

std::string to_string(MapType type) {
  switch (type) {
    case MapType::kUnspec: return "unspec";
    case MapType::kHash: return "hash";
    case MapType::kArray: return "array";
    case MapType::kProgArray: return "prog_array";
    case MapType::kPerfEventArray: return "perf_event_array";
    case MapType::kPercpuHash: return "percpu_hash";
    case MapType::kPercpuArray: return "percpu_array";
    case MapType::kStackTrace: return "stack_trace";
    case MapType::kCgroupArray: return "cgroup_array";
    case MapType::kLruHash: return "lru_hash";
    case MapType::kLruPercpuHash: return "lru_percpu_hash";
    case MapType::kLpmTrie: return "lpm_trie";
    case MapType::kArrayOfMaps: return "array_of_maps";
    case MapType::kHashOfMaps: return "hash_of_maps";
    case MapType::kDevmap: return "devmap";
    case MapType::kSockmap: return "sockmap";
    case MapType::kCpumap: return "cpumap";
    case MapType::kXskmap: return "xskmap";
    case MapType::kSockhash: return "sockhash";
    case MapType::kCgroupStorage: return "cgroup_storage";
    case MapType::kReuseportSockarray: return "reuseport_sockarray";
    case MapType::kPercpuCgroupStorage: return "percpu_cgroup_storage";
    case MapType::kQueue: return "queue";
    case MapType::kStack: return "stack";
    case MapType::kSkStorage: return "sk_storage";
    case MapType::kDevmapHash: return "devmap_hash";
    case MapType::kStructOps: return "struct_ops";
    case MapType::kRingbuf: return "ringbuf";
    case MapType::kInodeStorage: return "inode_storage";
    case MapType::kTaskStorage: return "task_storage";
    case MapType::kBloomFilter: return "bloom_filter";
    case MapType::kUserRingbuf: return "user_ringbuf";
    case MapType::kCgrpStorage: return "cgrp_storage";
    case MapType::kArena: return "arena";
  }
  return "type_" + std::to_string(static_cast<uint32_t>(type));
}

bool is_change_log(const std::string& map_name) {
  return map_name == MS_CHANGES_RING || map_name == MS_CHANGES_SLOTS || map_name == MS_CHANGES_LOST;
}

}  // namespace mapshift
