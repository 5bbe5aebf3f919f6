// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "kernel/kernel.h"
#include "slo/objective.h"
#include "slo/sample.h"
#include "update/counter.h"
#include "update/paths.h"
#include "update/sources.h"

namespace mapshift::update {

// Reads what objectives judge, from the module as it runs now, its host and its neighbours. Holds nothing that changes:
// read() of different objectives may run on different threads.
class Sampler {
 public:
  // A figure of the indicator `migration`: the update itself knows it.
  using Migration = std::function<Result<double>(const slo::Objective&)>;
  // `several`: the module has instances, and what an objective names may be there once for each: it is their sum.
  Sampler(Kernel& kernel, const Paths& paths, std::string module, Sources sources, Migration migration, bool several = false)
      : kernel_(kernel), paths_(paths), module_(std::move(module)), sources_(std::move(sources)), migration_(std::move(migration)),
        several_(several) {}
  // Trouble is in the sample. `object`, `generation`: the one that is active.
  [[nodiscard]] slo::Sample read(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation) const;
  // What the dispatchers counted of a program of that generation, in all instances.
  [[nodiscard]] Result<SideStats> side(const std::string& program, uint64_t generation) const;
  // While both generations run, a program's run time is what its dispatcher measures of the new one. Thread-safe.
  void watch(bool watched) { watched_.store(watched); }
  // Whether a reading may block for longer than a system call does.
  [[nodiscard]] static bool may_block(const slo::Objective& objective) {
    using enum slo::Indicator;  // Go processes: whoever else reads them is waited for
    return objective.indicator == kPromql || objective.indicator == kAlert || objective.indicator == kGo;
  }

 private:
  [[nodiscard]] Result<std::vector<std::string>> full_names(const std::string& dir, const std::string& name) const;
  [[nodiscard]] Result<double> counter(const std::string& path, const ObjectSpec& object, uint64_t generation) const;
  [[nodiscard]] Result<ProgramStats> hook_stats(const std::string& program, uint64_t generation) const;
  [[nodiscard]] Status read_map(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation,
                                slo::Sample& sample) const;
  [[nodiscard]] Status read_program(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const;
  [[nodiscard]] Status read_verdict(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const;
  [[nodiscard]] Status read_promql(const slo::Objective& objective, slo::Sample& sample) const;
  [[nodiscard]] Status read_go(const slo::Objective& objective, uint64_t generation, slo::Sample& sample) const;
  [[nodiscard]] Status read_alert(const slo::Objective& objective, slo::Sample& sample) const;
  [[nodiscard]] Status read_into(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation,
                                 slo::Sample& sample) const;

  Kernel& kernel_;
  const Paths& paths_;
  const std::string module_;
  const Sources sources_;
  const Migration migration_;
  const bool several_;
  std::atomic<bool> watched_{false};
};

// Everything that an objective names must be there before an update starts. All problems.
[[nodiscard]] std::vector<Problem> check_objectives(const std::vector<slo::Objective>& objectives, const ObjectSpec& object,
                                                    const std::vector<std::string>& attached_programs, const std::string& where);
// Whether the module has the program, map or counter that the objective names; kNotFound says what is not there.
[[nodiscard]] Status check_subject(const slo::Objective& objective, const ObjectSpec& object,
                                   const std::vector<std::string>& attached_programs);

}  // namespace mapshift::update
