// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <string>

#include "base/result.h"
#include "kernel/object_spec.h"
#include "update/manifest.h"

namespace mapshift::update {

// mapshift/module_gate.bpf.h
inline constexpr const char* kGenerationVariable = "ms_generation";

// Programs that may sleep are exchanged by an overlap, which their author must have declared and prepared; others need none. What is
// wrong with that for this program; `before` is null when it is new.
[[nodiscard]] std::optional<Problem> overlap_problem(const ObjectSpec& object, const ProgramSpec& program, const ProgramSpec* before,
                                                     const AttachSpec& attach);

}  // namespace mapshift::update
