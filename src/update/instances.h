// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"
#include "update/plan.h"

namespace mapshift::update {

// Modules with several instances: the object is loaded once for each, and they share its maps but for some. Everything here is
// pure. Full names, such as "count@eth0", are those of kernel/instance_name.h.

[[nodiscard]] std::vector<std::string> instance_names(const Manifest& manifest);  // empty: the module has none
// Programs that instances attach, by their names in the object; the others are attached once.
[[nodiscard]] std::set<std::string> instance_programs(const Manifest& manifest);
// Maps of which each instance has its own, by their names in the object: what the manifest says, and program arrays, since
// each load has programs of its own to call.
[[nodiscard]] std::set<std::string> instance_maps(const Manifest& manifest, const ObjectSpec& object);

// kNotFound: the module has no map of this full name, such as "limits@eth0". Names without an instance are not looked at.
[[nodiscard]] Status check_own_map(const Manifest& manifest, const ObjectSpec& object, const std::string& full);

// What cannot be served of a module with instances.
[[nodiscard]] std::vector<Problem> check_instances(const Manifest& manifest, const ObjectSpec& object);

// Each program as often as it is attached, under its full names.
[[nodiscard]] GenerationInput with_instances(const GenerationInput& side);
// Each map as often as there is one, planned alike. An instance that is new begins with empty maps of its own.
void expand_maps(const GenerationInput& old_side, const GenerationInput& next, Plan& plan);
// An instance that takes another one's place, and would find it taken.
void check_moves(Plan& plan);

}  // namespace mapshift::update
