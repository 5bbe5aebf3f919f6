// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/object_spec.h"
#include "update/plan.h"

namespace mapshift::update {

// Whether another task can run on the same CPU between two instructions of the program. Then a pass pinned to that CPU can write
// to the program's slot of a per-CPU map between its load and its store.
[[nodiscard]] bool may_be_preempted(const ProgramSpec& program);

// The first program of the generation that writes the map and may be preempted; empty: none does.
[[nodiscard]] std::string preempted_writer(const ObjectSpec& object, const CodeFacts& facts, const std::string& map);

}  // namespace mapshift::update
