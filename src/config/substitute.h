// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "config/json_value.h"
#include "config/report.h"

namespace mapshift::config {

// Fills $NAME and ${NAME} in every string value below `value`, from `set`, then from the document's "params", which is
// removed. "$$" stands for one dollar; a dollar before anything else is itself. Reports names that nothing resolves, and
// names of `set` that nothing uses or declares. A value that was filled in is not searched again.
void substitute(JsonValue& document, const std::map<std::string, std::string>& set, Report& report);
// The opposite, for writing a document down: every dollar doubled, so that reading it fills in nothing.
void escape_dollars(JsonValue& value);

}  // namespace mapshift::config
