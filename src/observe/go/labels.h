// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <set>
#include <string>

namespace mapshift::observe::go {

// Names for processes: the executable's base name, and "-1", "-2" behind it for the second and third that live at one time. A name
// stays with its process and is free again after it. Not thread-safe.
class Labels {
 public:
  [[nodiscard]] std::string take(const std::string& path);
  void free(const std::string& name);

 private:
  std::set<std::string> taken_;
};

}  // namespace mapshift::observe::go
