// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/attach/type.h"

namespace mapshift {

// A hook that a table of functions (struct_ops) is attached to, by a link that exchanges it as a whole. Tables are named by their
// pins. hook_dir: link.
struct TableHook {
  const AttachType& type;
  std::string dir;
  [[nodiscard]] Status attach(const Hook& hook, const std::string& table) const;
  // As compare-and-swap. What began with the old functions goes on with them: see attach/struct_ops.cpp.
  [[nodiscard]] Result<SwapReport> swap(const std::string& from, const std::string& to) const;
  [[nodiscard]] Result<int> running(const std::string& from, const std::string& to) const;  // as Kernel::running
};

}  // namespace mapshift
