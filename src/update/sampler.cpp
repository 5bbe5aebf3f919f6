// SPDX-License-Identifier: Apache-2.0
#include "update/sampler.h"

#include <algorithm>

#include "kernel/instance_name.h"
#include "slo/indicator.h"
#include "slo/limits.h"
#include "slo/return_code.h"
#include "update/sampler_host.h"

namespace mapshift::update {

// What pins in `dir` are of `name`: one, or one of each instance.
Result<std::vector<std::string>> Sampler::full_names(const std::string& dir, const std::string& name) const {
  if (!several_) return std::vector<std::string>{name};
  MS_TRY(std::vector<std::string> names, kernel_.list(dir));
  std::erase_if(names, [&](const std::string& full) { return full != name && base_name(full) != name; });
  if (names.empty()) names.push_back(name);
  return names;
}

Result<double> Sampler::counter(const std::string& path, const ObjectSpec& object, uint64_t generation) const {
  MS_TRY(const Counter found, find_counter(object, path));
  MS_TRY(const auto maps, full_names(paths_.generation(generation) + "/maps", found.map));
  double sum = 0;
  for (const std::string& map : maps) {
    MS_TRY(const auto element, kernel_.read_element(paths_.map(generation, map), std::vector<std::byte>(4)));
    sum += read_counter(found, element);
  }
  return sum;
}

Result<SideStats> Sampler::side(const std::string& program, uint64_t generation) const {
  MS_TRY(const auto names, full_names(paths_.generation(generation) + "/progs", program));
  SideStats sum;
  for (const std::string& name : names) {
    MS_TRY(const SidesReport one, kernel_.side_stats(paths_.hook(name), "", paths_.program(generation, name)));
    sum.run_ns += one.to.run_ns;
    sum.timed += one.to.timed;
    for (const auto& [answer, count] : one.to.verdicts) sum.verdicts[answer] += count;
  }
  return sum;
}

// Where the interface or cgroup is gone the program keeps what it counted there: a sum must not fall.
Result<ProgramStats> Sampler::hook_stats(const std::string& program, uint64_t generation) const {
  auto stats = kernel_.hook_stats(paths_.hook(program));
  if (stats) return stats;
  MS_TRY(const bool gone, kernel_.place_gone(paths_.hook(program)));
  return gone ? kernel_.program_stats(paths_.program(generation, program)) : stats;
}

Status Sampler::read_program(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const {
  if (watched_.load() && objective.value == "run_time_avg") {
    MS_TRY(const SideStats own, side(objective.program, generation));
    sample.num = static_cast<double>(own.run_ns) / 1e9;
    sample.den = static_cast<double>(own.timed);
    return {};
  }
  ProgramStats stats;
  MS_TRY(const auto programs, full_names(paths_.generation(generation) + "/progs", objective.program));
  for (const std::string& program : programs) {
    MS_TRY(const ProgramStats one, hook_stats(program, generation));
    stats.runs += one.runs;
    stats.run_ns += one.run_ns;
    stats.missed += one.missed;
  }
  const auto runs = static_cast<double>(stats.runs);
  if (objective.value == "run_time_avg") {
    sample.num = static_cast<double>(stats.run_ns) / 1e9;
    sample.den = runs;
  } else {
    sample.value = objective.value == "missed_rate" ? static_cast<double>(stats.missed) : runs;
  }
  return {};
}

// What was answered of all answers: both from one reading.
Status Sampler::read_verdict(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const {
  const auto code = slo::return_code(objective.value);
  if (!code) return fail(ErrorCode::kInvalid, "\"" + objective.value + "\" is no return code");
  MS_TRY(const SideStats own, side(objective.program, generation));
  double all = 0;
  for (const auto& [answer, count] : own.verdicts) all += static_cast<double>(count);
  const auto counted = own.verdicts.find(*code);
  sample.num = counted == own.verdicts.end() ? 0 : static_cast<double>(counted->second);
  sample.den = all;
  return {};
}

Status Sampler::read_map(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation,
                         slo::Sample& sample) const {
  if (objective.ratio_num.empty()) {
    MS_TRY(sample.value, counter(objective.counter, object, generation));
    return {};
  }
  MS_TRY(const Counter num, find_counter(object, objective.ratio_num));
  MS_TRY(const Counter den, find_counter(object, objective.ratio_den));
  // Both from one reading where they lie together: read one after the other, what counts between the two skews the ratio.
  if (den.map == num.map) {
    MS_TRY(const auto maps, full_names(paths_.generation(generation) + "/maps", num.map));
    double counted = 0, all = 0;
    for (const std::string& map : maps) {
      MS_TRY(const auto element, kernel_.read_element(paths_.map(generation, map), std::vector<std::byte>(4)));
      counted += read_counter(num, element);
      all += read_counter(den, element);
    }
    sample.num = counted;
    sample.den = all;
    return {};
  }
  MS_TRY(sample.num, counter(objective.ratio_num, object, generation));
  MS_TRY(sample.den, counter(objective.ratio_den, object, generation));
  return {};
}

Status Sampler::read_promql(const slo::Objective& objective, slo::Sample& sample) const {
  if (!sources_.promql) return fail(ErrorCode::kUnavailable, "no Prometheus is configured");
  MS_TRY(sample.value, sources_.promql(objective.query));
  return {};
}

Status Sampler::read_alert(const slo::Objective& objective, slo::Sample& sample) const {
  if (!sources_.firing_alerts) return fail(ErrorCode::kUnavailable, "nobody tells this agent which alerts fire");
  MS_TRY(const auto firing, sources_.firing_alerts(module_));
  const auto counts = [&](const std::string& name) { return objective.alert.empty() || name == objective.alert; };
  sample.value = static_cast<double>(std::count_if(firing.begin(), firing.end(), counts));
  return {};
}

Status Sampler::read_go(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const {
  if (!sources_.go) return fail(ErrorCode::kUnavailable, "this agent captures no Go processes");
  MS_TRY(const GoReading reading, sources_.go(objective, generation));
  sample.value = reading.value;
  sample.samples = reading.samples;
  sample.opens = reading.opens;
  return {};
}

Status Sampler::read_into(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation,
                          slo::Sample& sample) const {
  switch (objective.indicator) {
    case slo::Indicator::kProgram: return read_program(objective, generation, sample);
    case slo::Indicator::kMap: return read_map(objective, object, generation, sample);
    case slo::Indicator::kHost: return read_host(objective.value, objective.interface, sample);
    case slo::Indicator::kPromql: return read_promql(objective, sample);
    case slo::Indicator::kAlert: return read_alert(objective, sample);
    case slo::Indicator::kMigration: {
      MS_TRY(sample.value, migration_(objective));
      return {};
    }
    case slo::Indicator::kGo: return read_go(objective, generation, sample);
    case slo::Indicator::kVerdict: return read_verdict(objective, generation, sample);
  }
  return fail(ErrorCode::kUnsupported, "indicator \"" + std::string(slo::name_of(objective.indicator)) + "\" is not served");
}

slo::Sample Sampler::read(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation) const {
  slo::Sample sample;
  if (Status done = read_into(objective, object, generation, sample); !done) sample.error = done.error().message;
  sample.at = monotonic_now();
  return sample;
}

Status check_subject(const slo::Objective& objective, const ObjectSpec& object,
                     const std::vector<std::string>& attached_programs) {
  const auto& programs = attached_programs;
  const auto same = [&](const std::string& name) { return name == objective.program || base_name(name) == objective.program; };
  const bool attached = std::any_of(programs.begin(), programs.end(), same);
  const bool of_program = objective.indicator == slo::Indicator::kProgram || objective.indicator == slo::Indicator::kVerdict;
  if (of_program && !attached) {
    return fail(ErrorCode::kNotFound, "the module attaches no program \"" + objective.program + "\"");
  }
  if (objective.indicator == slo::Indicator::kMigration && !objective.map.empty()) {
    const auto is_it = [&](const MapSpec& map) { return map.name == base_name(objective.map); };
    if (std::none_of(object.maps.begin(), object.maps.end(), is_it)) {
      return fail(ErrorCode::kNotFound, "the module has no map \"" + objective.map + "\"");
    }
  }
  if (objective.indicator != slo::Indicator::kMap) return {};
  for (const std::string* path : {&objective.counter, &objective.ratio_num, &objective.ratio_den}) {
    if (path->empty()) continue;
    if (auto found = find_counter(object, *path); !found) return fail(ErrorCode::kNotFound, found.error().message);
  }
  return {};
}

std::vector<Problem> check_objectives(const std::vector<slo::Objective>& objectives, const ObjectSpec& object,
                                      const std::vector<std::string>& attached_programs, const std::string& where) {
  std::vector<Problem> problems;
  for (const slo::Objective& objective : objectives) {
    const std::string path = where + "." + objective.name;
    if (Status served = slo::check_served(objective); !served) {
      problems.push_back({"unserved-indicator", path, served.error().message});
      continue;
    }
    if (Status found = check_subject(objective, object, attached_programs); !found) {
      const bool program = objective.indicator == slo::Indicator::kProgram || objective.indicator == slo::Indicator::kVerdict;
      problems.push_back({program ? "unknown-program" : "unknown-counter", path, found.error().message});
    }
    if (const auto never = slo::impossible(objective)) problems.push_back({"impossible-limit", path, *never});
  }
  return problems;
}

}  // namespace mapshift::update
