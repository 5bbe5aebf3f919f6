// SPDX-License-Identifier: Apache-2.0
#include "observe/go/capture.h"

#include "observe/go/live_capture.h"
#include "observe/go/procfs.h"

namespace mapshift::observe::go {

Result<std::unique_ptr<Capture>> start_capture(Settings settings) {
  // Elsewhere the probes would wait for numbers that no process has, and count nothing.
  Result<std::unique_ptr<Probes>> probes = fail(ErrorCode::kUnsupported, "the agent runs in a pid namespace of its own: start it in the host's");
  if (in_first_pid_namespace()) probes = open_probes(settings.overhead_budget);
  const std::string why_not = probes ? "" : "no single pauses and nothing of the scheduler's hot paths: " + probes.error().message;
  MS_TRY(std::unique_ptr<Capture> out,
         LiveCapture::start(std::move(settings), probes ? std::move(*probes) : nullptr, why_not));
  return out;
}

}  // namespace mapshift::observe::go
