// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "update/record.h"

namespace mapshift::cli {

// Pure: records in, text for people out.
[[nodiscard]] std::string render_modules(const std::vector<update::ModuleRecord>& modules);
[[nodiscard]] std::string render_module(const update::ModuleRecord& module);
[[nodiscard]] std::string render_history(const std::vector<update::UpdateRecord>& updates);
// One line: "u-000012 flowmeter: syncing flows, pass 3, 42 %".
[[nodiscard]] std::string render_progress(const update::UpdateRecord& update);
// The same with a bar, within `width` columns, on one line.
[[nodiscard]] std::string render_progress_bar(const update::UpdateRecord& update, int width);
// How an update ended: one line, and what to read next when it did not end well.
[[nodiscard]] std::string render_outcome(const update::UpdateRecord& update);

}  // namespace mapshift::cli
