// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mapshift::slo {

enum class Indicator : uint8_t { kProgram, kMap, kVerdict, kMigration, kGo, kHost, kPromql, kAlert };
enum class OnTrouble : uint8_t { kHold, kRollback };  // what no data, or an error, leads to; never to a promotion

// How fast the error budget of a service-level objective is used up, over two windows: 1 uses it up exactly by the
// objective's end. Both windows must be beyond `factor`: the long one says that it matters, the short one that it goes on.
struct BurnRate {
  double objective = 0.999;  // share of good events: above 0, below 1
  double factor = 14.4;
  std::chrono::nanoseconds long_window = std::chrono::hours(1), short_window = std::chrono::minutes(5);
};

// One condition that must hold during the bake. Field names follow Argo Rollouts.
struct Objective {
  std::string name;
  Indicator indicator = Indicator::kMap;
  // Which figure of the indicator: see figures() in indicator.h.
  std::string value = {};
  std::string program = {};    // kProgram
  std::string map = {};        // kMigration: of this map only; empty: of all
  std::string interface = {};  // kHost: figures of a network interface
  std::string process = {};    // kGo: a process as its metrics' label calls it, or a pattern over those
  std::string reason = {};     // kGo, block_p99: the runtime's words for what is waited for
  std::string alert = {};      // kAlert: only alerts of this name; empty: all that concern the module
  // kMap: "map.field" or a global variable; either one counter taken as a rate, or num / den of both increments
  std::string counter = {}, ratio_num = {}, ratio_den = {};
  std::string query = {};  // kPromql
  std::optional<double> max = {}, min = {};     // breached when strictly greater / smaller
  std::optional<double> max_increase = {};      // "200%" is 2.0: breached when value > baseline * (1 + 2.0)
  std::optional<BurnRate> burn_rate = {};       // of a ratio; stands alone
  std::chrono::nanoseconds interval{0};         // 0: the analysis' own
  std::chrono::nanoseconds initial_delay{0};
  int count = 0;                                // measurements to take; 0: until the bake ends
  int failure_limit = 0;                        // breached when failures > limit
  int consecutive_error_limit = 4;
  int inconclusive_limit = 0;
  double min_samples = 0;                       // smaller windows are inconclusive
  OnTrouble on_no_data = OnTrouble::kHold, on_error = OnTrouble::kHold;
};

struct Analysis {
  std::chrono::nanoseconds bake = std::chrono::seconds(60);
  std::chrono::nanoseconds interval = std::chrono::seconds(1);
  std::chrono::nanoseconds baseline{0};  // how long relative objectives are measured before the swap; 0: from the interval
  std::vector<Objective> objectives = {};
};

enum class Outcome : uint8_t { kPass, kFail, kInconclusive, kError };

struct Measurement {
  std::string objective;
  std::string at;  // wall clock, ISO 8601
  std::optional<double> value = {};
  std::optional<double> limit = {};
  Outcome outcome = Outcome::kPass;
  std::string message = {};  // for what is not a pass: what was compared, or what went wrong
};

}  // namespace mapshift::slo
