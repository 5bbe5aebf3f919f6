// SPDX-License-Identifier: Apache-2.0
#include "http/codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace mapshift::http {
namespace {

TEST(StandardCodec, ReadsManifestsAndWritesRecords) {
  const Codec codec = standard_codec();
  const auto manifest = codec.parse_manifest(R"({"name": "m", "version": "1.0.0", "object": "m.bpf.o"})", "/etc/m", {}, "manifest");
  ASSERT_TRUE(manifest) << manifest.error().message;
  EXPECT_EQ(manifest->object, "/etc/m/m.bpf.o");
  EXPECT_FALSE(codec.load_manifest("/nonexistent/m.json", {}));

  update::UpdateRecord record;
  record.id = "u-000001";
  record.reason = "not UTF-8: \xFF";
  record.state = update::State::kBaking;
  EXPECT_EQ(nlohmann::json::parse(codec.update_text(record))["state"], "baking");
  update::ModuleRecord module;
  module.name = "m";
  EXPECT_TRUE(nlohmann::json::parse(codec.module_text(module))["running_update"].is_null());
}

}  // namespace
}  // namespace mapshift::http
