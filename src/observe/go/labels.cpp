// SPDX-License-Identifier: Apache-2.0
#include "observe/go/labels.h"

namespace mapshift::observe::go {

std::string Labels::take(const std::string& path) {
  static constexpr size_t kMaxName = 64;
  std::string base = path.substr(path.rfind('/') + 1).substr(0, kMaxName);
  if (base.empty()) base = "unnamed";
  std::string name = base;
  // "app-1" may be the base name of another executable: whatever is taken is passed over.
  for (size_t index = 1; !taken_.insert(name).second; ++index) name = base + "-" + std::to_string(index);
  return name;
}

void Labels::free(const std::string& name) { taken_.erase(name); }

}  // namespace mapshift::observe::go
