// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "kernel/attach/type.h"
#include "ledger.h"

namespace mapshift::test {

// Programs of two instructions, pinned as if a generation had loaded them: enough for whatever only attaches and swaps.
class TinyTest : public RuntimeTest {
 protected:
  // For `hook`: of its program type, returning `result`.
  [[nodiscard]] Status pin_tiny(int generation_number, const Hook& hook, int result = 1);
  [[nodiscard]] std::string tiny(int n) const { return program(n, "tiny"); }
  // Attaches generation 1, swaps there and back, compares, detaches.
  void swap_there_and_back(const Hook& hook);
};

}  // namespace mapshift::test
