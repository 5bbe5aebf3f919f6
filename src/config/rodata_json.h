// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "config/object_reader.h"
#include "update/manifest.h"

namespace mapshift::config {

// Reads "rodata": a boolean, a number, a text or an array of integers for each variable. Whether a value fits its
// variable is known only with the object's types.
void read_rodata(ObjectReader& reader, std::map<std::string, update::RodataValue>& out);

}  // namespace mapshift::config
