// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/object_reader.h"
#include "update/manifest.h"

namespace mapshift::config {

// "swap" and "canary" of a module's manifest: how its hooks change their generation.
void read_moving(ObjectReader& reader, update::Manifest& out);

}  // namespace mapshift::config
