// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernel/kernel.h"
#include "store/rows.h"
#include "update/manifest.h"
#include "update/plan.h"
#include "update/run.h"

namespace mapshift::agent {

// One generation with everything that planning, loading and judging need.
struct Prepared {
  update::GenerationInput input;                      // manifest with every program's attach filled in
  std::map<std::string, update::AttachSpec> attach;   // programs that attach
  std::string object_path;                            // the file to load
  std::vector<Problem> problems = {};                 // of types that the manifest names for its maps, and of programs that it leaves out
};

[[nodiscard]] std::vector<std::string> attached_programs(const Prepared& generation);
// Reads and analyses what `manifest` names. `object_path` empty: the manifest's.
[[nodiscard]] Result<Prepared> prepare(const update::Manifest& manifest, uint64_t generation, const std::string& object_path);
// The generation of a module's row, its map layouts taken from the running maps' own BTF where they have it.
[[nodiscard]] Result<Prepared> prepare_running(Kernel& kernel, const std::string& bpffs, const store::ModuleRow& row);
// A generation without an object file, from its pins: it was adopted, or its row is gone.
[[nodiscard]] Result<Prepared> prepare_adopted(Kernel& kernel, const update::Paths& paths, const update::Manifest& manifest, uint64_t generation);
// The layouts that the generation's pinned maps have in the kernel, in place of what the object file says.
void adopt_running_layouts(Kernel& kernel, const update::Paths& paths, Prepared& prepared);
// A generation that is loaded, `object_path` empty for one without an object file: what is pinned of it runs, also what its manifest
// would leave out.
[[nodiscard]] Result<Prepared> prepare_loaded(Kernel& kernel, const update::Paths& paths, update::Manifest manifest, uint64_t generation,
                                              const std::string& object_path);

// Programs of a generation whose hooks run nothing: their interfaces or cgroups are gone, or they were never attached.
[[nodiscard]] std::set<std::string> gone_hooks(Kernel& kernel, const update::Paths& paths, const Prepared& running);

// Asks the host what the pure planner has to know, and plans. `gone`: gone_hooks() of the old side.
[[nodiscard]] update::Plan plan_update(Kernel& kernel, const std::string& bpffs, const Prepared& old_side, const Prepared& next,
                                       const update::Limits& limits, std::set<std::string> gone = {});
// The same for an update that a former agent began, whose record is `begun`: what was decided then stands, though the host may
// have changed since.
[[nodiscard]] update::Plan plan_again(Kernel& kernel, const Prepared& old_side, const Prepared& next, const update::Limits& limits,
                                      const update::UpdateRecord& begun);
// The same for a first generation: everything is new.
[[nodiscard]] update::Plan plan_load(Kernel& kernel, const Prepared& next, const update::Limits& limits);

}  // namespace mapshift::agent
