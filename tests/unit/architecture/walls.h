// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace mapshift::architecture {

// The rules of the house as functions of a file's path (from the root, "src/slo/sample.h") and its text. Each gives one
// line for each thing that is wrong: "src/slo/sample.h:3: …".
[[nodiscard]] std::vector<std::string> include_violations(std::string_view path, std::string_view text);
[[nodiscard]] std::vector<std::string> purity_violations(std::string_view path, std::string_view text);
[[nodiscard]] std::vector<std::string> licence_violations(std::string_view path, std::string_view text);
[[nodiscard]] std::vector<std::string> length_violations(std::string_view path, std::string_view text);

// Paths of this repository between back-quotes: `src/kernel/attach/table.cpp`, `tests/unit/slo/`. Those with a placeholder
// (`src/kernel/attach/<type>.cpp`) or a wildcard are cut to the folder that must be there.
[[nodiscard]] std::vector<std::string> paths_named_in(std::string_view document);

}  // namespace mapshift::architecture
