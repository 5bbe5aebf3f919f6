// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.h"

namespace mapshift::test {

// Folders with the builds of tests/go/tiny, one for each version of Go on this machine.
inline std::vector<std::string> go_fixtures() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& one : std::filesystem::directory_iterator(GO_TINY, error)) out.push_back(one.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

inline std::string go_fixture(const std::string& version, const std::string& variant) {
  return std::string(GO_TINY) + "/" + version + "/" + variant;
}

inline Fd open_file(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

}  // namespace mapshift::test
