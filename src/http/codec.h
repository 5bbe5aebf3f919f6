// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <string>

#include "base/result.h"
#include "http/service.h"
#include "update/manifest.h"
#include "update/record.h"

namespace mapshift::http {

using Settings = std::map<std::string, std::string>;

// How manifests are read and records are written. Must be callable from any thread.
struct Codec {
  std::function<Result<update::Manifest>(const std::string& path, const Settings& set)> load_manifest;
  std::function<Result<update::Manifest>(const std::string& text, const std::string& folder, const Settings& set,
                                         const std::string& file_name)>
      parse_manifest;
  std::function<std::string(const update::UpdateRecord&)> update_text;  // one JSON object
  std::function<std::string(const update::ModuleRecord&)> module_text;
  std::function<std::string(const GoProcesses&)> go_processes_text;
  std::function<std::string(const observe::go::ProcessReport&, Nanos now)> go_process_text;
};

// The codec of the agent: config/manifest.h, config/record_json.h and config/go_json.h.
[[nodiscard]] Codec standard_codec();

}  // namespace mapshift::http
