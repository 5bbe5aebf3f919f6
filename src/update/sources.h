// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "slo/objective.h"

namespace mapshift::update {

// What Go processes show of an objective.
struct GoReading {
  std::optional<double> value = {};  // of the worst of those that match; nothing: none matches, or nothing happened
  double samples = 0;                // observations behind it
  bool opens = false;                // no value yet, but the next reading can have one
};

// Whom to ask about objectives that neither the module nor this host's files can tell. May be called from any thread; may
// block for a time limit of its own, so never on the way of a rollback. An empty function: nobody to ask.
struct Sources {
  // The number that a query gives now; nothing when it gives no series. kInvalid: the query itself is wrong.
  std::function<Result<std::optional<double>>(const std::string& query)> promql = {};
  // Names of the alerts that fire now and concern the module, one for each alert.
  std::function<Result<std::vector<std::string>>(const std::string& module)> firing_alerts = {};
  // Over the time since the reading before for the same objective and generation. kUnavailable: no Go processes are captured.
  std::function<Result<GoReading>(const slo::Objective& objective, uint64_t generation)> go = {};
};

}  // namespace mapshift::update
