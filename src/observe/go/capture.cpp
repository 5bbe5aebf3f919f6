// SPDX-License-Identifier: Apache-2.0
#include "observe/go/capture.h"

#include "observe/go/live_capture.h"

namespace mapshift::observe::go {

Result<std::unique_ptr<Capture>> start_capture(Settings settings) {
  auto probes = open_probes(settings.overhead_budget);
  const std::string why_not = probes ? "" : probes.error().message;  // tier 0 needs none
  MS_TRY(std::unique_ptr<Capture> out, LiveCapture::start(std::move(settings), probes ? std::move(*probes) : nullptr, why_not));
  return out;
}

}  // namespace mapshift::observe::go
