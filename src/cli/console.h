// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <ostream>
#include <string>

#include "cli/agent.h"

namespace mapshift::cli {

// Where a command prints. With `json`, stdout gets one document from result() or failure() and nothing else.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool json = false;
  bool progress_bar = false;  // stderr is a terminal
  int width = 80;             // of it
};

// Text that may have come from elsewhere, with what could move a terminal's cursor taken out.
[[nodiscard]] std::string printable(const std::string& text);
// The command's outcome: the document, or `text` for people.
void show(Console& console, const Json& document, const std::string& text);
// Prints the failure and gives its exit status.
[[nodiscard]] int show(Console& console, const Failure& failure);
void note(Console& console, const std::string& line);  // to stderr

}  // namespace mapshift::cli
