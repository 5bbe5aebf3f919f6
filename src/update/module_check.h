// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

struct ModuleCheck {
  std::vector<Problem> problems;  // it will not load
  std::vector<Problem> warnings;  // it will, but the next version will be harder to reach than it has to be
};

// What can be said of a module without a host: its manifest against its object. Pure.
[[nodiscard]] ModuleCheck check_module(const Manifest& manifest, const ObjectSpec& object);

}  // namespace mapshift::update
