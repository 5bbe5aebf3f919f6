// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include "base/clock.h"
#include "http/app.h"
#include "http/problem.h"

namespace mapshift::http {

Response App::list_go() { return {200, "application/json", codec_.go_processes_text(service_.go_processes()) + "\n", {}}; }

Response App::show_go(const Call& call) {
  const std::string& text = call.parameter;
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc{} || end != text.data() + text.size() || pid <= 0) {
    return problem({ErrorCode::kNotFound, 0, "\"" + text + "\" is not the id of a process", {}, {}});
  }
  const auto report = service_.go_process(pid);
  if (!report) return problem(report.error());
  return {200, "application/json", codec_.go_process_text(*report, monotonic_now()) + "\n", {}};
}

}  // namespace mapshift::http
