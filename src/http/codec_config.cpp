// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "config/manifest.h"
#include "config/record_json.h"
#include "http/codec.h"

namespace mapshift::http {
namespace {

std::string text(const nlohmann::ordered_json& document) {
  return document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace

Codec standard_codec() {
  return {
      .load_manifest = [](const std::string& path, const Settings& set) { return config::load_manifest(path, set); },
      .parse_manifest = [](const std::string& manifest, const std::string& folder, const Settings& set,
                           const std::string& file_name) { return config::parse_manifest(manifest, folder, set, file_name); },
      .update_text = [](const update::UpdateRecord& record) { return text(config::to_json(record)); },
      .module_text = [](const update::ModuleRecord& record) { return text(config::to_json(record)); },
  };
}

}  // namespace mapshift::http
