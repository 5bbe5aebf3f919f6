// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "config/attach_json.h"
#include "config/substitute.h"
#include "update/manifest.h"

namespace mapshift::config {

// "instances" of a module: the parameters of each, and where its programs attach once these are filled in.
struct Instances {
  struct Attach {
    std::string program, instance, where;
    JsonValue value;
  };
  std::vector<Values> parameters = {};  // of each, with its "name"
  std::vector<Attach> attaches = {};
};

// Takes "instances" out of the document, and the "attach" of each program that names a parameter of theirs. What is left of the
// document may be filled in by `substitution`: it knows the parameters that are alike in all instances, and refuses the others.
[[nodiscard]] Instances take_instances(JsonValue& document, Substitution& substitution, Report& report);

// Reads what was taken into `out`, where programs are named "count@eth0". After the rest of the manifest was read.
void read_instances(Instances& instances, const MakeAbsolute& absolute, Report& report, update::Manifest& out);

// Puts them back in a form that names no parameter: {"name": "a", …, "attach": {"count": {…}}}.
void put_back(const Instances& instances, JsonValue& document);

}  // namespace mapshift::config
