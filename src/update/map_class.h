// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/object_spec.h"
#include "update/manifest.h"
#include "update/plan.h"

namespace mapshift::update {

// What a map is for: decides what an update does with it when nobody says otherwise, and tells its author what was understood.
//   control   programs never write it: user space does
//   state     added to, changed and deleted from; also whatever is not understood, because it is the one that loses nothing
//   flight    entries that programs add and delete and never change in place
//   counters  changed in place only, by adding
//   scratch   written before it is read in each run. Inferred only of per-CPU arrays of one element, whose last content the
//             next run writes over; a wrong guess about more would lose what user space may read there
struct MapClass {
  std::string name, reason;
  std::string doubt = {};  // what the programs do that contradicts a declared class; empty: nothing
};

// `before` may be null: a new map. Pure.
[[nodiscard]] MapClass classify(const MapRule& rule, const MapSpec* before, const CodeFacts& old_facts, const MapSpec& after,
                                const CodeFacts& new_facts);

}  // namespace mapshift::update
