// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "observe/go/binary.h"
#include "observe/go/dwarf.h"

namespace mapshift::observe::go {

inline constexpr int kOldestMinor = 18;       // before: another table of functions, other histograms
inline constexpr int kNewestKnownMinor = 27;  // newer ones need debugging information

// The structures that layout_from() and the globals need.
[[nodiscard]] const std::vector<std::string_view>& wanted_structs();
// Nothing when a structure that matters is not among them or its sizes make no sense.
[[nodiscard]] std::optional<Layout> layout_from(const StructLayouts& structs);
// What is known of released versions, on 64-bit architectures; nothing for others, development versions included.
[[nodiscard]] std::optional<Layout> layout_of(const Version& version);

}  // namespace mapshift::observe::go
