// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mapshift::cli {

// The whole command line: reads it, does it, prints, and gives the exit status. Throws nothing.
[[nodiscard]] int run(int argc, const char* const* argv);

}  // namespace mapshift::cli
