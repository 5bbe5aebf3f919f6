// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "observe/changes/stream.h"
#include "observe/go/capture.h"
#include "slo/objective.h"
#include "update/limits.h"

namespace mapshift::config {

struct Listen {
  std::string host = "127.0.0.1";  // an IPv4 address, or "localhost"
  uint16_t port = 0;               // 0: any free one
};

using update::Limits;

struct GoCapture {
  bool enabled = true;
  observe::go::Settings settings = {};
};

struct ChangeCapture {
  uint64_t ring_bytes = observe::changes::Settings{}.ring_bytes;  // read at start
  size_t history = observe::changes::Settings{}.history;          // read at start
  std::vector<observe::changes::Watch> maps = {};                 // pins are not filled in
};

// The agent's configuration file. Every member has a default.
struct Config {
  std::string state_dir = "/var/lib/mapshift";
  std::string run_dir = "/run/mapshift";
  std::string bpffs = "/sys/fs/bpf";
  Listen metrics = {"127.0.0.1", 9847};
  Listen api = {"127.0.0.1", 9848};
  std::string token_file = {}, rollback_token_file = {};  // set by parse_config: in run_dir unless the file says otherwise
  std::vector<std::string> module_dirs = {"/etc/mapshift/modules"};
  Limits limits = {};
  GoCapture go = {};
  ChangeCapture changes = {};
  std::string prometheus_url = "http://127.0.0.1:9090";
  std::string alertmanager_url = "http://127.0.0.1:9093";
  bool alertmanager_poll = false;
  Nanos alertmanager_skew = std::chrono::seconds(2);              // by which its clock and this host's may differ
  Nanos alertmanager_watchdog_timeout = std::chrono::seconds(90); // without a watchdog for longer the alert path is blind
  std::vector<std::string> alertmanager_hosts = {};               // lower case: what alerts call this host, beside its names and addresses
  std::vector<slo::Objective> objectives = {};
};

// kInvalid with all that is wrong, each with its line. An empty object is a valid file.
[[nodiscard]] Result<Config> parse_config(const std::string& text, const std::string& file_name);
// kNotFound, kTooLarge, kKernel for the file; else as above.
[[nodiscard]] Result<Config> load_config(const std::string& path);
// What the file asks for and this release does not do yet, one sentence each: said at start, so that nobody waits for it.
[[nodiscard]] std::vector<std::string> not_served(const Config& config);

// "127.0.0.1:9848". kInvalid says what is wrong with it.
[[nodiscard]] Result<Listen> parse_listen(const std::string& text);

}  // namespace mapshift::config
