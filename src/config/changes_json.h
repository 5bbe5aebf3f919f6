// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/config.h"
#include "config/object_reader.h"

namespace mapshift::config {

// The member "changes" of the configuration, if it is there.
void read_changes(ObjectReader& reader, ChangeCapture& out);

}  // namespace mapshift::config
