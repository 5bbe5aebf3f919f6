// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace mapshift {

// A module may have instances, which share its object: "count" of the instance "eth0" is "count@eth0" wherever programs, maps
// and pins have names. An object cannot have such a name, and bpffs takes it. The instance without a name keeps the object's.
inline constexpr char kInstanceMark = '@';

[[nodiscard]] inline std::string instance_name(std::string_view name, std::string_view instance) {
  std::string full(name);
  if (!instance.empty()) full.append(1, kInstanceMark).append(instance);
  return full;
}
[[nodiscard]] inline std::string_view base_name(std::string_view full) { return full.substr(0, full.find(kInstanceMark)); }

}  // namespace mapshift
