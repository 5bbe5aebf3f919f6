// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// The candidate that differs least from `name`, or nothing when none is close.
[[nodiscard]] std::string nearest(std::string_view name, const std::vector<std::string>& candidates);

// {"unknown-name", where, "there is no map \"flow\" in the object: did you mean \"flows\"?"}
[[nodiscard]] Problem unknown_name(std::string_view what, std::string_view name, std::string_view container, std::string where,
                                   const std::vector<std::string>& candidates);

// Every name in the manifest that the module's own object does not have, objectives apart: the sampler checks those.
[[nodiscard]] std::vector<Problem> check_names(const Manifest& manifest, const ObjectSpec& object);

[[nodiscard]] const MapSpec* find_map(const ObjectSpec& object, std::string_view name);
[[nodiscard]] const ProgramSpec* find_program(const ObjectSpec& object, std::string_view name);
[[nodiscard]] std::vector<std::string> map_names(const ObjectSpec& object);

}  // namespace mapshift::update
