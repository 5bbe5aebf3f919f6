// SPDX-License-Identifier: Apache-2.0
#include "observe/go/capture.h"

#include "observe/go/live_capture.h"

namespace mapshift::observe::go {

Result<std::unique_ptr<Capture>> start_capture(Settings settings) {
  auto probes = open_probes(settings.overhead_budget);
  const std::string why_not = probes ? "" : "no single pauses and nothing of the scheduler's hot paths: " + probes.error().message;
  MS_TRY(std::unique_ptr<Capture> out,
         LiveCapture::start(std::move(settings), probes ? std::move(*probes) : nullptr, why_not));
  return out;
}

}  // namespace mapshift::observe::go
