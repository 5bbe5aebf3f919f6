// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <vector>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// Takes the programs out of `object` that the generation does without, so that nobody plans, analyses or attaches them: those
// of which the manifest says so, and those that their sections leave out ("?tp/…") and nothing in the manifest asks for; the
// manifest then says so of them, too. Returns what is wrong with what the manifest says.
[[nodiscard]] std::vector<Problem> leave_out(Manifest& manifest, ObjectSpec& object);

}  // namespace mapshift::update
