// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kernel/object_spec.h"
#include "slo/objective.h"
#include "update/manifest.h"
#include "update/sources.h"

namespace mapshift::update {

// What an update will be judged by, and what can be said of that before it starts.
struct Judging {
  std::string module;
  slo::Analysis analysis;
  std::vector<Problem> warnings, refusals;
};

// The manifest's objectives, and of the configuration's `common` ones those that the module can have: a program or counter
// that it does not have is a warning. Where both use a name the manifest's objective stands. `bake`
// replaces the manifest's. Pure.
[[nodiscard]] Judging judging_of(const Manifest& manifest, const std::vector<slo::Objective>& common, const std::optional<Nanos>& bake,
                                 const ObjectSpec& object, const std::vector<std::string>& attached_programs);

// Asks each source once whether it will be able to answer: an update does not start blind. A query that is wrong, and a
// neighbour that is not there, are refusals; no data yet is a warning. Blocks for one time limit where a neighbour hangs:
// after the first that does not answer the others are not asked.
void try_sources(const Sources& sources, Judging& judging);

}  // namespace mapshift::update
