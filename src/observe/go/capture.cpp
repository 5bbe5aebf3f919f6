// SPDX-License-Identifier: Apache-2.0
#include "observe/go/capture.h"

#include "observe/go/live_capture.h"

namespace mapshift::observe::go {

Result<std::unique_ptr<Capture>> start_capture(Settings settings) {
  MS_TRY(std::unique_ptr<Capture> out, LiveCapture::start(std::move(settings), nullptr, ""));
  return out;
}

}  // namespace mapshift::observe::go
