// SPDX-License-Identifier: Apache-2.0
#include "kernel/socket_programs.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/program.h"

namespace mapshift {
namespace {

constexpr int kMaxPrograms = 100'000;  // looked at in one call

bool outlives_its_link(uint32_t type) {
  return type == BPF_PROG_TYPE_STRUCT_OPS || type == BPF_PROG_TYPE_SK_SKB || type == BPF_PROG_TYPE_SK_MSG;
}

}  // namespace

void add_socket_programs(const std::set<uint32_t>& ids, MapHolders& holders) {
  if (ids.empty()) return;
  uint32_t id = 0;
  for (int looked_at = 0;;) {
    if (bpf_prog_get_next_id(id, &id) != 0) {
      if (errno != ENOENT) holders.complete = false;
      return;
    }
    if (++looked_at > kMaxPrograms) {
      holders.complete = false;
      return;
    }
    const auto program = Program::by_id(id);
    if (!program && program.error().sys_errno != ENOENT) holders.complete = false;  // one that has gone meanwhile holds nothing
    if (!program || !outlives_its_link(program->type())) continue;
    const auto maps = program->maps();
    if (!maps) {
      holders.complete = false;
      continue;
    }
    for (const uint32_t map : std::set<uint32_t>(maps->begin(), maps->end())) {
      if (ids.contains(map)) holders.by_map[map].push_back({0, describe_program(id)});
    }
  }
}

MapHolders find_map_holders(const std::set<uint32_t>& ids) {
  MapHolders found = map_holders(ids);
  add_socket_programs(ids, found);
  return found;
}

}  // namespace mapshift
