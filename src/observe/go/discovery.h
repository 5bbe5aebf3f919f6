// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <optional>
#include <vector>

#include "observe/go/capture.h"
#include "observe/go/executable.h"
#include "observe/go/process.h"

namespace mapshift::observe::go {

// Whether a process runs a Go executable that is wanted. Nothing: it is none, is not wanted, or is gone. kStale: it became another
// one meanwhile, ask again. May read the whole executable, once a file.
[[nodiscard]] Result<std::optional<Found>> identify(int pid, Executables& executables, const std::vector<Filter>& filters);

[[nodiscard]] bool wanted(const std::vector<Filter>& filters, const std::string& path, const std::string& cgroup);

}  // namespace mapshift::observe::go
