// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "alerts/alert.h"
#include "update/record.h"

namespace mapshift::alerts {

struct Policy {
  Nanos skew = std::chrono::seconds(2);       // by which another host's clock may differ
  int max_rollbacks_per_hour = 10;            // automatic ones; as many hold every further one that an alert asks for
  Nanos cooldown = std::chrono::seconds(10);  // of a module, for alerts that name no update
};

struct UpdateFacts {
  std::string id;
  update::State state = update::State::kPlanning;
  std::optional<WallTime> swap_began = {};
  bool lossy = false;
  bool rollback_ordered = false;  // by an alert
};

struct ModuleFacts {
  std::vector<UpdateFacts> updates;  // newest first
  std::optional<WallTime> last_automatic_rollback = {};
};

// What is so on this host when alerts arrive.
struct Situation {
  WallTime now = {};
  std::map<std::string, ModuleFacts> modules;  // loaded ones
  std::set<std::string> hosts;                 // names and addresses of this host, in lower case
  size_t rollbacks_in_hour = 0;                // automatic ones
  Policy policy = {};
};

// Pure. `accepted_before`: this very delivery ordered a rollback earlier.
[[nodiscard]] Delivery judge(const Alert& alert, const Situation& situation, bool accepted_before);
// Notes in the situation that the delivery ordered a rollback, so that the next alert of the same request does not.
void note_order(Situation& situation, const Delivery& delivery);

[[nodiscard]] UpdateFacts facts_of(const update::UpdateRecord& record);
// When hooks began to run the new generation; none before.
[[nodiscard]] std::optional<WallTime> swap_began(const update::UpdateRecord& record);
// Is "node7:9100", "[::1]:80" or "node7" one of `hosts`?
[[nodiscard]] bool names_host(const std::string& instance, const std::set<std::string>& hosts);
// Was it the agent's own decision, and not a person's or an accident's?
[[nodiscard]] bool is_automatic(std::string_view trigger);

}  // namespace mapshift::alerts
