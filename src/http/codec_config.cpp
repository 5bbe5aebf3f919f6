// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "config/go_json.h"
#include "config/manifest.h"
#include "config/record_json.h"
#include "http/codec.h"

namespace mapshift::http {
namespace {

std::string text(const nlohmann::ordered_json& document) {
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string go_processes_text(const GoProcesses& go) {
  nlohmann::ordered_json processes = nlohmann::ordered_json::array();
  for (const observe::go::ProcessReport& report : go.processes) processes.push_back(config::to_json(report, go.read_at));
  return text({{"enabled", go.enabled},
               {"reason", go.reason},
               {"read_at_ns", go.read_at.count()},
               {"dropped_processes", go.dropped},
               {"processes", std::move(processes)}});
}

}  // namespace

Codec standard_codec() {
  return {
      .load_manifest = [](const std::string& path, const Settings& set) { return config::load_manifest(path, set); },
      .parse_manifest = [](const std::string& manifest, const std::string& folder, const Settings& set,
                           const std::string& file_name) { return config::parse_manifest(manifest, folder, set, file_name); },
      .update_text = [](const update::UpdateRecord& record) { return text(config::to_json(record)); },
      .module_text = [](const update::ModuleRecord& record) { return text(config::to_json(record)); },
      .go_processes_text = go_processes_text,
      .go_process_text = [](const observe::go::ProcessReport& report, Nanos now) { return text(config::to_json(report, now)); },
  };
}

}  // namespace mapshift::http
