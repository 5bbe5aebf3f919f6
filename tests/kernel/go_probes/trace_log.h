// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mapshift::test {

// What a trace of the runtime says of the stretch between two marks: of all that ended there and that it saw begin. Nanoseconds.
struct TraceLog {
  std::map<std::string, std::vector<uint64_t>> block;  // by the trace's word for the reason: from parking to being made ready
  std::vector<uint64_t> run_queue;                     // from runnable to running
  uint64_t created = 0, exited = 0;
  bool begun = false, ended = false;                   // at which mark it is
};

// Of a file that runtime/trace wrote, printed by `tool`, the `go tool trace` of a version at least as new. Throws when the tool fails.
[[nodiscard]] TraceLog read_trace(const std::string& tool, const std::string& file);

}  // namespace mapshift::test
