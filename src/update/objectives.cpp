// SPDX-License-Identifier: Apache-2.0
#include "update/objectives.h"

#include <algorithm>
#include <iterator>

#include "slo/indicator.h"
#include "slo/limits.h"
#include "update/counter.h"
#include "update/instances.h"
#include "update/sampler.h"
#include "update/sampler_host.h"

namespace mapshift::update {
namespace {

constexpr const char* kManifest = "analysis.objectives";
constexpr const char* kConfiguration = "objectives";

void append(std::vector<Problem>& to, std::vector<Problem> from) { std::move(from.begin(), from.end(), std::back_inserter(to)); }

// A source that is not there at all, or the answer of one that is.
Status try_query(const Sources& sources, const slo::Objective& objective, const std::string& where, Judging& judging) {
  if (!sources.promql) return fail(ErrorCode::kUnavailable, "no Prometheus is configured");
  const auto value = sources.promql(objective.query);
  if (value && !*value) {
    judging.warnings.push_back(
        {"no-data-yet", where, "the query gives no series now: while it gives none it is inconclusive, never a pass"});
  }
  return value ? Status() : fail(value.error());
}

Status try_alerts(const Sources& sources, const std::string& module) {
  if (!sources.firing_alerts) {
    return fail(ErrorCode::kUnsupported,
                "nobody tells this agent which alerts fire: set alertmanager.poll to true in its configuration");
  }
  const auto firing = sources.firing_alerts(module);
  return firing ? Status() : fail(firing.error());
}

// Generation 0 never runs: the reading that tries does not stand between those that judge.
Status try_go(const Sources& sources, const slo::Objective& objective, const std::string& where, Judging& judging) {
  constexpr uint64_t kNobody = 0;
  if (!sources.go) return fail(ErrorCode::kUnavailable, "this agent captures no Go processes");
  MS_TRY(const GoReading reading, sources.go(objective, kNobody));
  if (!reading.value && !reading.opens) {
    judging.warnings.push_back({"no-data-yet", where,
                                "no captured Go process matches \"" + objective.process + "\" now, or it shows no " + objective.value +
                                    ": while that is so it is inconclusive, never a pass; `mapshift go` lists what is captured"});
  }
  return {};
}

// Return codes are counted by dispatchers, and of the new generation only: nothing counts them before.
void check_counted(const Manifest& manifest, const slo::Objective& objective, const std::string& where, Judging& judging) {
  if (objective.indicator != slo::Indicator::kVerdict) return;
  if (manifest.swap != SwapTogether::kTogether) {
    judging.refusals.push_back({"verdict-uncounted", where,
                                "the kernel counts no return codes, and a hook without a dispatcher has nobody else who could: set "
                                "\"swap\": \"together\", or count verdicts in a map of the module and use the indicator \"map\""});
  }
  if (objective.max_increase) {
    judging.refusals.push_back({"verdict-baseline", where,
                                "nothing counts the return codes of the old generation before the update: give \"max\" instead of \"maxIncrease\""});
  }
}

// Of objectives that name one instance's map.
Status check_own_maps(const Manifest& manifest, const ObjectSpec& object, const slo::Objective& objective) {
  for (const std::string* path : {&objective.counter, &objective.ratio_num, &objective.ratio_den}) {
    if (path->empty()) continue;
    if (const auto counter = find_counter(object, *path)) MS_CHECK(check_own_map(manifest, object, counter->map));
  }
  return check_own_map(manifest, object, objective.map);
}

}  // namespace

Judging judging_of(const Manifest& manifest, const std::vector<slo::Objective>& common, const std::optional<Nanos>& bake,
                   const ObjectSpec& object, const std::vector<std::string>& attached_programs) {
  Judging out;
  out.module = manifest.name;
  out.analysis = manifest.analysis.value_or(slo::Analysis{});
  if (bake) out.analysis.bake = *bake;
  append(out.refusals, check_objectives(out.analysis.objectives, object, attached_programs, kManifest));
  for (const slo::Objective& objective : out.analysis.objectives)
    if (Status found = check_own_maps(manifest, object, objective); !found)
      out.refusals.push_back({"unknown-counter", std::string(kManifest) + "." + objective.name, found.error().message});
  std::vector<slo::Objective> fitting;
  for (const slo::Objective& objective : common) {
    const auto same = [&](const slo::Objective& own) { return own.name == objective.name; };
    const auto& own = out.analysis.objectives;
    if (std::any_of(own.begin(), own.end(), same)) continue;
    Status found = check_subject(objective, object, attached_programs);
    if (found) found = check_own_maps(manifest, object, objective);
    if (found && objective.indicator == slo::Indicator::kVerdict && manifest.swap != SwapTogether::kTogether) {
      found = fail(ErrorCode::kUnsupported, "nothing counts the return codes of a module that is not swapped together");
    }
    if (!found) {
      out.warnings.push_back({"objective-skipped", std::string(kConfiguration) + "." + objective.name,
                              "this objective of the agent's configuration is not judged: " + found.error().message});
      continue;
    }
    fitting.push_back(objective);
  }
  append(out.refusals, check_objectives(fitting, object, attached_programs, kConfiguration));
  std::move(fitting.begin(), fitting.end(), std::back_inserter(out.analysis.objectives));
  for (const slo::Objective& objective : out.analysis.objectives) {
    const std::string where = std::string(kManifest) + "." + objective.name;
    if (slo::check_served(objective)) check_counted(manifest, objective, where, out);
    if (const auto idle = slo::toothless(objective)) out.warnings.push_back({"toothless-limit", where, *idle});
    if (const auto late = slo::too_late(objective, out.analysis)) out.warnings.push_back({"bake-too-short", where, *late});
  }
  return out;
}

void try_sources(const Sources& sources, Judging& judging) {
  bool prometheus_answers = true;
  for (const slo::Objective& objective : judging.analysis.objectives) {
    const std::string where = std::string(kManifest) + "." + objective.name;
    if (objective.indicator == slo::Indicator::kAlert) {
      const Status tried = try_alerts(sources, judging.module);
      if (!tried) judging.refusals.push_back({"alerts-unavailable", where, tried.error().message});
    }
    if (objective.indicator == slo::Indicator::kGo) {
      const Status tried = try_go(sources, objective, where, judging);
      if (!tried) judging.refusals.push_back({"go-unavailable", where, tried.error().message});
    }
    if (!objective.interface.empty()) {
      const auto found = read_interface(objective.interface);
      if (!found) judging.refusals.push_back({"no-interface", where, found.error().message});
    }
    if (objective.indicator != slo::Indicator::kPromql || !prometheus_answers) continue;
    const Status tried = try_query(sources, objective, where, judging);
    if (tried) continue;
    if (tried.error().code == ErrorCode::kInvalid) {
      judging.refusals.push_back({"bad-query", where, tried.error().message});
      continue;
    }
    prometheus_answers = false;
    judging.refusals.push_back({"prometheus-unavailable", where,
                                tried.error().message + ": this objective could not be judged; bring Prometheus back, correct "
                                                        "prometheus.url in the agent's configuration, or take the objective out"});
  }
}

}  // namespace mapshift::update
