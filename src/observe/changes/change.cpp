// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/change.h"

#include <array>

namespace mapshift::observe::changes {
namespace {

constexpr std::array<std::string_view, kOps> kOpNames{"insert", "update", "delete"};
constexpr std::array<std::string_view, kSources> kSourceNames{"fexit", "instrumented", "syscall", "scan"};
constexpr std::array<std::string_view, 3> kModeNames{"pull", "events", "hybrid"};

}  // namespace

std::string_view to_string(Op op) { return kOpNames[static_cast<size_t>(op) - 1]; }
std::string_view to_string(Source source) { return kSourceNames[static_cast<size_t>(source) - 1]; }
std::string_view to_string(Mode mode) { return kModeNames[static_cast<size_t>(mode)]; }

std::optional<Source> source_named(std::string_view name) {
  for (size_t i = 0; i < kSources; ++i)
    if (kSourceNames[i] == name) return static_cast<Source>(i + 1);
  return {};
}

std::optional<Mode> mode_named(std::string_view name) {
  for (size_t i = 0; i < kModeNames.size(); ++i)
    if (kModeNames[i] == name) return static_cast<Mode>(i);
  return {};
}

}  // namespace mapshift::observe::changes
