// SPDX-License-Identifier: Apache-2.0
#include "update/module_check.h"

#include "update/instances.h"
#include "update/load_request.h"
#include "update/module_check_next.h"
#include "update/names.h"
#include "update/objectives.h"

namespace mapshift::update {
namespace {

void append(std::vector<Problem>& to, const std::vector<Problem>& from) { to.insert(to.end(), from.begin(), from.end()); }

}  // namespace

ModuleCheck check_module(const Manifest& manifest, const ObjectSpec& object) {
  ModuleCheck out;
  append(out.problems, check_names(manifest, object));
  append(out.problems, check_instances(manifest, object));
  std::vector<std::string> attached;
  if (const auto found = attachments(manifest, object); found) {
    for (const auto& [name, attach] : *found) attached.push_back(name);
  } else {
    append(out.problems, found.error().problems);
  }
  if (const auto rodata = rodata_bytes(manifest, object); !rodata) append(out.problems, rodata.error().problems);
  const Judging judging = judging_of(manifest, {}, {}, object, attached);
  append(out.problems, judging.refusals);
  append(out.warnings, judging.warnings);
  append(out.warnings, check_next_version(manifest, object));
  return out;
}

}  // namespace mapshift::update
