// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>

#include "base/result.h"
#include "observe/go/elf_image.h"

namespace mapshift::observe::go {

struct Symbol {
  std::string_view name;  // valid during the call only
  uint64_t address = 0, size = 0;
  bool function = false;
};

// Calls `each` for every defined symbol of .symtab with a name. False: there is no .symtab. kInvalid, kTooLarge.
[[nodiscard]] Result<bool> for_each_symbol(const ElfImage& image, const std::function<void(const Symbol&)>& each);

}  // namespace mapshift::observe::go
