// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"

namespace mapshift::agent {

// Creates `dir` and its parents, mode 0755.
[[nodiscard]] Status make_dirs(const std::string& dir);
// All or nothing, through a file beside it.
[[nodiscard]] Status write_file(const std::string& path, const std::string& content, unsigned mode);
// Makes sure that `path` is a bpffs, mounting one there when it is not, and creates its folder mapshift/.
[[nodiscard]] Status prepare_bpffs(const std::string& path);
// The secret in `path`; makes one of 256 random bits, mode 0600, when the file is missing. kInvalid when it is empty.
[[nodiscard]] Result<std::string> read_or_make_token(const std::string& path);
// {"pid":…, "metrics":"127.0.0.1:PORT", "api":"127.0.0.1:PORT"}
[[nodiscard]] Status write_agent_file(const std::string& run_dir, const std::string& metrics, const std::string& api);

}  // namespace mapshift::agent
