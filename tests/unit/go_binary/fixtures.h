// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"

namespace mapshift::test {

inline constexpr std::string_view kGoTiny = "go-tiny-", kGoDefault = "-default";

// The versions of Go ("1.22.12") that built tests/go/tiny.
inline std::vector<std::string> go_fixtures() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& one : std::filesystem::directory_iterator(GO_TINY, error)) {
    const std::string name = one.path().filename();
    if (!name.starts_with(kGoTiny) || !name.ends_with(kGoDefault)) continue;
    out.push_back(name.substr(kGoTiny.size(), name.size() - kGoTiny.size() - kGoDefault.size()));
  }
  std::sort(out.begin(), out.end());
  return out;
}

inline std::string go_fixture(const std::string& version, const std::string& variant) {
  return std::string(GO_TINY) + "/" + std::string(kGoTiny) + version + "-" + variant;
}

inline Fd open_file(const std::string& path) { return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

}  // namespace mapshift::test
