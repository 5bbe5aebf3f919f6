// SPDX-License-Identifier: Apache-2.0
#include "update/record.h"

namespace mapshift::update {

std::string_view to_string(State state) {
  switch (state) {
    case State::kPlanned: return "planned";
    case State::kPlanning: return "planning";
    case State::kLoading: return "loading";
    case State::kSyncing: return "syncing";
    case State::kSwapping: return "swapping";
    case State::kBaking: return "baking";
    case State::kCommitted: return "committed";
    case State::kRollingBack: return "rolling_back";
    case State::kRolledBack: return "rolled_back";
    case State::kFailed: return "failed";
    case State::kAborted: return "aborted";
    case State::kStuck: return "stuck";
  }
  return "unknown";
}

bool is_final(State state) {
  switch (state) {
    case State::kPlanned:
    case State::kPlanning:
    case State::kLoading:
    case State::kSyncing:
    case State::kSwapping:
    case State::kBaking:
    case State::kRollingBack: return false;
    case State::kCommitted:
    case State::kRolledBack:
    case State::kFailed:
    case State::kAborted:
    case State::kStuck: return true;
  }
  return false;
}

std::string describe_holders(const KeptRecord& kept) {
  std::string out;
  for (const KeptHolder& holder : kept.holders) {
    if (!out.empty()) out += ", ";
    out += holder.pid == 0 ? holder.comm : std::to_string(holder.pid) + " (" + holder.comm + ")";
  }
  if (kept.holder_count > kept.holders.size()) out += " and " + std::to_string(kept.holder_count - kept.holders.size()) + " more";
  return out;
}

}  // namespace mapshift::update
