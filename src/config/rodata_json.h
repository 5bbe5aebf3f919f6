// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "config/object_reader.h"
#include "update/manifest.h"

namespace mapshift::config {

// Reads "rodata": for each variable a boolean, a number, a text, an array of such, or an object with one for each member. Whether a
// value fits its variable is known only with the object's types.
void read_rodata(ObjectReader& reader, std::map<std::string, update::RodataValue>& out);

}  // namespace mapshift::config
