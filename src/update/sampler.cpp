// SPDX-License-Identifier: Apache-2.0
#include "update/sampler.h"

#include <algorithm>

#include "slo/indicator.h"

namespace mapshift::update {

Result<double> Sampler::counter(const std::string& path, const ObjectSpec& object, uint64_t generation) const {
  MS_TRY(const Counter found, find_counter(object, path));
  MS_TRY(const auto element, kernel_.read_element(paths_.map(generation, found.map), std::vector<std::byte>(4)));
  return read_counter(found, element);
}

Status Sampler::read_program(const slo::Objective& objective, slo::Sample& sample) const {
  MS_TRY(const ProgramStats stats, kernel_.hook_stats(paths_.hook(objective.program)));
  const auto runs = static_cast<double>(stats.runs);
  if (objective.value == "run_time_avg") {
    sample.num = static_cast<double>(stats.run_ns) / 1e9;
    sample.den = runs;
  } else {
    sample.value = objective.value == "missed_rate" ? static_cast<double>(stats.missed) : runs;
  }
  return {};
}

slo::Sample Sampler::read(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation) const {
  slo::Sample sample;
  Status done = {};
  if (objective.indicator == slo::Indicator::kProgram) {
    done = read_program(objective, sample);
  } else if (!objective.ratio_num.empty()) {
    auto num = counter(objective.ratio_num, object, generation);
    auto den = counter(objective.ratio_den, object, generation);
    if (num && den) {
      sample.num = *num;
      sample.den = *den;
    } else {
      done = fail(num ? den.error() : num.error());
    }
  } else if (auto value = counter(objective.counter, object, generation); value) {
    sample.value = *value;
  } else {
    done = fail(value.error());
  }
  if (!done) sample.error = done.error().message;
  sample.at = monotonic_now();
  return sample;
}

std::vector<Problem> check_objectives(const slo::Analysis& analysis, const ObjectSpec& object,
                                      const std::vector<std::string>& attached_programs) {
  std::vector<Problem> problems;
  for (const slo::Objective& objective : analysis.objectives) {
    const std::string where = "analysis.objectives." + objective.name;
    if (Status served = slo::check_served(objective); !served) {
      problems.push_back({"unserved-indicator", where, served.error().message});
      continue;
    }
    if (objective.indicator == slo::Indicator::kProgram &&
        std::find(attached_programs.begin(), attached_programs.end(), objective.program) == attached_programs.end()) {
      problems.push_back({"unknown-program", where, "the module attaches no program \"" + objective.program + "\""});
    }
    for (const std::string* path : {&objective.counter, &objective.ratio_num, &objective.ratio_den}) {
      if (objective.indicator != slo::Indicator::kMap || path->empty()) continue;
      if (auto found = find_counter(object, *path); !found) problems.push_back({"unknown-counter", where, found.error().message});
    }
  }
  return problems;
}

}  // namespace mapshift::update
