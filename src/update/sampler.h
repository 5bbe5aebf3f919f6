// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/kernel.h"
#include "slo/objective.h"
#include "slo/sample.h"
#include "update/counter.h"
#include "update/paths.h"

namespace mapshift::update {

// Reads what objectives judge, from the module as it runs now. Not thread-safe with itself on one path; holds nothing.
class Sampler {
 public:
  Sampler(Kernel& kernel, const Paths& paths) : kernel_(kernel), paths_(paths) {}
  // Trouble is in the sample. `object`, `generation`: the one that is active.
  [[nodiscard]] slo::Sample read(const slo::Objective& objective, const ObjectSpec& object, uint64_t generation) const;

 private:
  [[nodiscard]] Result<double> counter(const std::string& path, const ObjectSpec& object, uint64_t generation) const;
  [[nodiscard]] Status read_program(const slo::Objective& objective, slo::Sample& sample) const;

  Kernel& kernel_;
  const Paths& paths_;
};

// Everything that an objective names must be there before an update starts. All problems.
[[nodiscard]] std::vector<Problem> check_objectives(const slo::Analysis& analysis, const ObjectSpec& object,
                                                    const std::vector<std::string>& attached_programs);

}  // namespace mapshift::update
