// SPDX-License-Identifier: Apache-2.0
#include "observe/go/binary.h"
#include "observe/go/report.h"

namespace mapshift::observe::go {

std::string_view to_string(State state) {
  switch (state) {
    case State::kCaptured: return "captured";
    case State::kUnsupported: return "unsupported";
    case State::kDenied: return "denied";
    case State::kOverLimit: return "over_limit";
  }
  return "unsupported";
}

std::string_view to_string(Origin origin) {
  switch (origin) {
    case Origin::kNone: return "none";
    case Origin::kDwarf: return "dwarf";
    case Origin::kSymbol: return "symbol";
    case Origin::kTable: return "table";
    case Origin::kPattern: return "pattern";
  }
  return "none";
}

}  // namespace mapshift::observe::go
