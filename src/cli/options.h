// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mapshift::cli {

enum class Command : uint8_t {
  kLoad,
  kPlan,
  kUpdate,
  kRollback,
  kCommit,
  kAbort,
  kUnload,
  kAdopt,
  kStatus,
  kHistory,
  kExplain,
  kChanges,
  kGo,
  kCheckConfig,
  kCheckModule,
  kCheckHost,
  kCompletion,
};

struct Options {
  std::string agent;       // "127.0.0.1:9848"; empty: from run_dir/agent.json
  std::string token_file;  // empty: run_dir/token
  std::string run_dir = "/run/mapshift";
  bool json = false;
  Command command = Command::kStatus;
  std::string target;      // manifest, module, update, pid, file or shell; may be empty for status, history and go
  std::map<std::string, std::string> set;
  std::string bake;
  bool wait = false;
  std::optional<uint64_t> if_generation;
  bool allow_lossy = false;
  bool force_quarantined = false;
  std::string reason;
  std::vector<uint32_t> links;          // adopt
  std::optional<uint32_t> program;      // adopt
  std::string manifest;                 // adopt
  std::optional<uint64_t> since;  // changes
  bool follow = false;            // changes
};

struct Parsed {
  std::optional<Options> options;  // absent: print `out` and `err`, and exit with `status`
  int status = 0;
  std::string out, err;
};

[[nodiscard]] Parsed parse_options(int argc, const char* const* argv);

}  // namespace mapshift::cli
