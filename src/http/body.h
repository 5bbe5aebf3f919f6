// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "base/result.h"
#include "http/codec.h"

namespace mapshift::http {

// {"manifest": "/path"} or {"manifest": {…}, "dir": "/path"}, with "set"; an update also takes "bake",
// "allow_lossy" and "force_quarantined".
struct ManifestRequest {
  std::string path = {};             // of the manifest file; empty: `text` is the manifest
  std::string text = {}, folder = {};
  Settings set = {};
  std::optional<std::chrono::nanoseconds> bake = {};
  bool allow_lossy = false;
  bool force_quarantined = false;
};

enum class Members : uint8_t { kManifest, kUpdate };

// kInvalid, with a problem for everything that is wrong.
[[nodiscard]] Result<ManifestRequest> parse_manifest_request(const std::string& body, Members members);
// The "reason" of {"reason": "…"}; an empty body has none.
[[nodiscard]] Result<std::string> parse_reason(const std::string& body);

}  // namespace mapshift::http
